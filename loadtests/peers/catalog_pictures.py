"""What large catalogs cost, as SVG files: CPU and memory and requests per second against the items."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from loadtests.peers import curves
from loadtests.peers.catalog_rows import Report, Row
from loadtests.peers.catalog_table import number

_WIDTH, _HEIGHT = 700, 500  # a unit is a pixel where the picture is shown 700 pixels wide
_COLOURS = {
    "sasrec:fp32": "#c8402f", "sasrec:jpq": "#b8860b", "sasrec:int4-rerank": "#8a5bbf", "sasrec:ivf": "#2368b4",
    "item-to-item:fp32": "#1a7f5a", "sasrec:int8-rerank": "#c2448f",
    "sasrec:scann": "#0f8f9c",
}  # fmt: skip
_OTHER = "#59636e"
_AXES = (0.12, 0.195, 0.85, 0.62)
"""Left, bottom, width, height as shares of the picture."""
_LEGEND_COLUMNS = 4
_EXACT = ("fp32", "jpq")
_VALUE_FONT, _SMALL_FONT, _LEGEND_FONT = 10.5, 9.5, 11.0


@dataclass(frozen=True)
class _Value:
    """What one style of line shows. `faint`: dashed, without numbers."""

    of: Callable[[Row], float]
    faint: bool = False


@dataclass(frozen=True)
class _Plot:
    title: str
    label: str
    values: tuple[_Value, ...]
    note: str = ""
    rises: bool = True


_PLOTS = {
    "catalog-cpu": _Plot(
        "CPU time of one request",
        "milliseconds of CPU per request",
        (_Value(lambda row: row.measured.cpu_us / 1e3),),
    ),
    "catalog-memory": _Plot(
        "Memory of two workers, and the artifact",
        "MB",
        (_Value(lambda row: row.measured.memory_mb), _Value(lambda row: row.artifact_mb, faint=True)),
        "lines: proportional set size of all processes; dashes: the artifact's files",
    ),
    "catalog-rate": _Plot(
        "Requests per second, two workers",
        "requests per second",
        (_Value(lambda row: row.measured.rps),),
        rises=False,
    ),
}


def pictures(report: Report) -> dict[str, bytes]:
    """The content of each file by its name. Exact graphs have round marks, heads squares."""
    return {name: _draw(plot, report) for name, plot in _PLOTS.items()}


def _draw(plot: _Plot, report: Report) -> bytes:
    lines: dict[str, list[Row]] = {}
    for row in sorted(report.rows, key=lambda row: row.items):
        lines.setdefault(row.artifact, []).append(row)
    with matplotlib.rc_context(curves.SETTINGS):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
        axes = figure.add_axes(_AXES)
        for name in sorted(lines, key=lambda name: (*_COLOURS, name).index(name)):
            _add_line(axes, name, lines[name], plot)
        _frame(axes, plot, report.rows)
        _write_values(axes, plot, report.rows)
        figure.text(0.012, 0.985, plot.title, fontweight="bold", fontsize=14, va="top")
        if lines:
            figure.legend(
                loc="upper left", bbox_to_anchor=(0.0, 0.945), ncols=min(len(lines), _LEGEND_COLUMNS),
                frameon=False, fontsize=_LEGEND_FONT, columnspacing=1.2, handlelength=1.6,
            )  # fmt: skip
        small_print = "\n".join(filter(None, _small_print(plot, report)))
        figure.text(0.012, 0.018, small_print, color=curves.QUIET, fontsize=_SMALL_FONT, va="bottom")
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue().encode()


def _add_line(axes: Axes, name: str, rows: list[Row], plot: _Plot) -> None:
    colour, mark = _COLOURS.get(name, _OTHER), "o" if name.partition(":")[2] in _EXACT else "s"
    places = [row.items for row in rows]
    for value in plot.values:
        style = {"linestyle": (0, (3, 2)), "linewidth": 1.4, "markersize": 4} if value.faint else {"linewidth": 2}
        label = None if value.faint else name
        axes.plot(places, [value.of(row) for row in rows], color=colour, marker=mark, label=label, **style)


def _frame(axes: Axes, plot: _Plot, rows: list[Row]) -> None:
    sizes = sorted({row.size for row in rows}) or [1]
    items = [row.items for row in rows] or sizes
    found = [value.of(row) for row in rows for value in plot.values] or [1.0]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(items) / 2.2, max(items) * 2.0)
    margin = 1.6 * (max(found) / min(found)) ** 0.05
    axes.set_ylim(min(found) / margin, max(found) * margin)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.yaxis.set_major_locator(LogLocator(subs=(1,) if max(found) / min(found) > 30 else (1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("items in the catalog")
    axes.set_ylabel(plot.label)
    axes.grid(color=curves.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _write_values(axes: Axes, plot: _Plot, rows: list[Row]) -> None:
    """Beside each mark, where its line is not; pushed apart where they would cover one another."""
    (low, high), height = axes.get_ylim(), _AXES[3] * _HEIGHT
    sizes = sorted({row.size for row in rows})
    for size in sizes:
        leftmost, last = size == sizes[0], -_HEIGHT
        left = leftmost or plot.rises
        for row in sorted((row for row in rows if row.size == size), key=plot.values[0].of):
            value = plot.values[0].of(row)
            at = height * math.log(value / low) / math.log(high / low)
            last = max(at + (0 if leftmost else 7), last + _VALUE_FONT + 2)
            axes.annotate(
                number(value), (row.items, value), (-9 if left else 9, last - at), textcoords="offset points",
                va="center", ha="right" if left else "left", fontsize=_VALUE_FONT,
                color=_COLOURS.get(row.artifact, _OTHER),
                bbox={"facecolor": "#ffffff", "alpha": 0.8, "linewidth": 0, "pad": 0.5},
            )  # fmt: skip


def _small_print(plot: _Plot, report: Report) -> tuple[str, ...]:
    days = " and ".join(sorted({row.date for row in report.rows}))
    failed = f"; {len(report.failures)} gave no honest figure" if report.failures else ""
    return (
        f"{plot.note}{'; ' if plot.note else ''}round marks: every item is scored; squares: heads",
        f"{report.machine}, {report.cores} cores, wrk on the same ones, {report.connections} connections; {days}; "
        f"medians of {report.rounds} rounds{failed}",
    )
