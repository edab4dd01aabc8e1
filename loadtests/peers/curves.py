"""Requests a second against what grows, as an SVG file that a person can read the numbers off."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

_WIDTH, _HEIGHT = 700, 430  # a unit is a pixel where the picture is shown 700 pixels wide
_COLOURS = ("#c8402f", "#2368b4", "#1a7f5a", "#8a5bbf")
_INK, QUIET, GRID = "#1f2328", "#59636e", "#dfe3e8"
SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "flyweight", "text.parse_math": False, "font.family": "sans-serif",
    "font.size": 13.0, "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": QUIET, "xtick.color": _INK,
    "ytick.color": _INK, "figure.facecolor": "#ffffff", "axes.facecolor": "#ffffff",
}  # fmt: skip
_VALUE_FONT, _SMALL_FONT = 11.5, 10.0


@dataclass(frozen=True)
class Dot:
    """Times in milliseconds."""

    at: float
    rps: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Line:
    name: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Picture:
    """`log_x`, `log_y`: logarithmic axes. `small_print` stands below, a line of it per string."""

    title: str
    axis_label: str
    lines: tuple[Line, ...]
    small_print: tuple[str, ...]
    log_x: bool = True
    log_y: bool = False


def draw(picture: Picture) -> bytes:
    """The file's content. Same picture, same bytes."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
        axes = figure.add_axes((0.13, 0.225, 0.84, 0.675))
        axes.set_title(picture.title, loc="left", fontweight="bold", fontsize=14)
        _frame(axes, picture)
        for line, colour in zip(picture.lines, _COLOURS, strict=False):
            axes.plot(
                [dot.at for dot in line.dots], [dot.rps for dot in line.dots], color=colour, linewidth=2,
                marker="o", markersize=6, label=line.name,
            )  # fmt: skip
            for dot in line.dots:
                _write_value(axes, dot, colour, above=_is_highest(dot, picture.lines))
        if picture.lines:
            figure.legend(
                loc="upper right", bbox_to_anchor=(0.975, 0.985), ncols=len(picture.lines), frameon=False,
            )  # fmt: skip
        figure.text(
            0.012, 0.018, "\n".join(picture.small_print), color=QUIET, fontsize=_SMALL_FONT, va="bottom",
        )  # fmt: skip
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue().encode()


def _frame(axes: Axes, picture: Picture) -> None:
    dots = [dot for line in picture.lines for dot in line.dots]
    places = sorted({dot.at for dot in dots}) or [1.0]
    rates = [dot.rps for dot in dots] or [1.0]
    if picture.log_x:
        axes.set_xscale("log")
        margin = (places[-1] / places[0]) ** 0.09 if len(places) > 1 else 2.0
        axes.set_xlim(places[0] / margin, places[-1] * margin)
    else:
        margin = 0.25 * ((places[-1] - places[0]) or 1)
        axes.set_xlim(places[0] - margin, places[-1] + margin)
    if picture.log_y:
        axes.set_yscale("log")
        margin = 2.2 * (max(rates) / min(rates)) ** 0.12
        axes.set_ylim(min(rates) / margin, max(rates) * margin)
    else:
        axes.set_ylim(0, max(rates) * 1.3)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel(picture.axis_label)
    axes.set_ylabel("requests per second")
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _is_highest(dot: Dot, lines: Sequence[Line]) -> bool:
    """Values of the upper line stand above it, those of any other below: so they do not cover one another."""
    there = [other for line in lines for other in line.dots if other.at == dot.at]
    return dot is max(there, key=lambda other: other.rps)


def _write_value(axes: Axes, dot: Dot, colour: str, *, above: bool) -> None:
    words = f"{number(dot.rps)}/s\np50 {number(dot.p50_ms)} ms\np99 {number(dot.p99_ms)} ms"
    axes.annotate(
        words, (dot.at, dot.rps), (0, 8 if above else -8), textcoords="offset points", ha="center",
        va="bottom" if above else "top", fontsize=_VALUE_FONT, color=colour, linespacing=1.05,
        bbox={"facecolor": "#ffffff", "alpha": 0.8, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
