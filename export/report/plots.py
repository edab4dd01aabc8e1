"""Quality against what it costs, as an SVG that stands inside an HTML page and follows its colours."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from export.report.label_places import Box, Label, place_labels
from export.report.markup import Html, element, number
from export.report.pareto import Point, pareto_front

_WIDTH, _HEIGHT = 400, 350  # points: small enough that text is still readable at the width of a phone
_FONT = 9.0
_MOST_TICKS = 6
_RUNG_COLOURS = {
    "popularity": "#7d8590", "item-to-item": "#2f81d6", "vmis-knn": "#1a9c78", "ials": "#9b6ad8",
    "ease": "#d08700", "sasrec": "#e0503f", "blend": "#c2448f", "student": "#6f9a20",
}  # fmt: skip
_MARKERS = {
    "fp32": "o", "fp16": "s", "int8-dynamic": "^", "int8-static": "v", "jpq": "D", "int4-rerank": "P", "ivf": "X",
    "int8-rerank": "h", "jpq-ivf": "d", "scann": "*",
}  # fmt: skip
_UNKNOWN_COLOUR, _UNKNOWN_MARKER = "#8c564b", "p"
_INK, _QUIET, _BAND = "#010203", "#040506", "#070809"
"""Colours that stand for those of the page: matplotlib knows no CSS variable."""
_PAGE_COLOURS = {_INK: "var(--ink)", _QUIET: "var(--line)", _BAND: "var(--band)"}


@dataclass(frozen=True)
class Reference:
    """What the points are held against: the baseline, and the band of what is good enough."""

    baseline: float
    good_enough: tuple[float, float] | None


def colour_of(rung: str) -> str:
    return _RUNG_COLOURS.get(rung, _UNKNOWN_COLOUR)


def marker_svg(rung: str, variant: str) -> Html:
    """The mark of an artifact as it stands in the plots, for a legend or a table."""
    style = MarkerStyle(_MARKERS.get(variant, _UNKNOWN_MARKER))
    outline = style.get_path().transformed(style.get_transform()).to_polygons()[0] * 9
    corners = " ".join(f"{x:.1f},{-y:.1f}" for x, y in outline)
    polygon = element("polygon", points=corners, fill=colour_of(rung))
    return element("svg", polygon, viewBox="-6 -6 12 12", class_="mark", aria_hidden="true")


def plot_costs(
    points: Sequence[Point], winner: int | None, reference: Reference, cost_name: str, quality_name: str
) -> Html:
    """Quality over cost, the cost on a logarithmic axis; `winner` is the number of the point to ring.

    Points without a quality or with a cost that has no logarithm are left out. Same input, same bytes.
    """
    shown = [p for p in points if math.isfinite(p.quality.value) and math.isfinite(p.cost) and p.cost > 0]
    settings = {
        "svg.fonttype": "none", "svg.hashsalt": cost_name, "font.size": _FONT, "font.family": "sans-serif",
        "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _INK, "xtick.color": _INK,
        "ytick.color": _INK, "axes.facecolor": "none", "figure.facecolor": "none", "text.parse_math": False,
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
        axes = figure.add_axes((0.13, 0.13, 0.85, 0.85))
        _frame(axes, shown, reference, cost_name, quality_name)
        _draw_points(axes, shown, winner)
        _write_labels(axes, shown, winner)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    spoken = f"{quality_name} against {cost_name} of {len(shown)} artifacts; the figures stand in the table"
    return _inlined(out.getvalue(), spoken, {f"point-{p.number}": _tooltip(p, cost_name) for p in shown})


def _frame(axes: Axes, points: Sequence[Point], reference: Reference, cost_name: str, quality_name: str) -> None:
    axes.set_xscale("log")
    costs = [p.cost for p in points] or [1.0]
    low, high = min(costs) / 1.7, max(costs) * 1.7
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    levels = [level for p in points for level in (p.quality.low, p.quality.high)] + [reference.baseline]
    levels = [level for level in [*levels, *(reference.good_enough or ())] if math.isfinite(level)] or [0.0]
    margin = 0.08 * (max(levels) - min(levels)) or 0.01
    axes.set_ylim(min(levels) - margin, max(levels) + margin)
    axes.set_xlabel(cost_name)
    axes.set_ylabel(quality_name)
    axes.grid(color=_QUIET, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if reference.good_enough:
        axes.axhspan(*reference.good_enough, color=_BAND, linewidth=0)
    if math.isfinite(reference.baseline):
        axes.axhline(reference.baseline, color=colour_of("popularity"), linewidth=1, linestyle=(0, (5, 3)))


def _ticks(low: float, high: float) -> list[float]:
    """Round values from `low` to `high`, no more than fit side by side: the finest series that does."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1, 3), (1,)):
        values = [float(f"{step}e{decade}") for decade in decades for step in steps]
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) <= _MOST_TICKS:
            return ticks
    return ticks


def _draw_points(axes: Axes, points: Sequence[Point], winner: int | None) -> None:
    front = pareto_front(points)
    axes.plot(
        [p.cost for p in front], [p.quality.value for p in front], color=_INK, linewidth=0.9,
        drawstyle="steps-post", alpha=0.55,
    )  # fmt: skip
    for point in points:
        colour, value = colour_of(point.rung), point.quality.value
        limits = [point.quality.low, point.quality.high]
        axes.plot([point.cost] * 2, limits, color=colour, linewidth=0.9, alpha=0.6)
        marker = _MARKERS.get(point.variant, _UNKNOWN_MARKER)
        axes.plot(
            point.cost, value, marker=marker, color=colour, markersize=6, markeredgewidth=0,
            gid=f"point-{point.number}",
        )  # fmt: skip
        if point.number == winner:
            axes.plot(
                point.cost, value, marker="o", markersize=14, markerfacecolor="none", markeredgecolor=_INK,
                markeredgewidth=1.4,
            )  # fmt: skip


def _write_labels(axes: Axes, points: Sequence[Point], winner: int | None) -> None:
    """Names for the winner and the front, who choose their place first; the other points get their number."""
    named = {p.number for p in pareto_front(points)} | {winner}
    ordered = sorted(points, key=lambda p: (p.number != winner, p.number not in named, p.number))
    at = {p.number: axes.transData.transform((p.cost, p.quality.value)) for p in points}
    labels = [
        Label(*at[p.number], f"{p.number} {p.name}" if p.number in named else str(p.number), str(p.number))
        for p in ordered
    ]
    reach = {p.number: 8 if p.number == winner else 3.5 for p in points}
    marks = [Box(x - reach[n], y - reach[n], x + reach[n], y + reach[n]) for n, (x, y) in at.items()]
    bars = []
    for point in points:
        x, bottom = axes.transData.transform((point.cost, point.quality.low))
        bars.append(Box(x - 0.5, bottom, x + 0.5, axes.transData.transform((point.cost, point.quality.high))[1]))
    inside = axes.bbox
    frame = Box(inside.x0 + 1, inside.y0 + 1, inside.x1, inside.y1)
    for point, place in zip(ordered, place_labels(labels, marks, bars, frame, _FONT), strict=True):
        axes.annotate(
            place.text, (point.cost, point.quality.value), (place.dx, place.dy), textcoords="offset points",
            ha="center", va="center", fontweight="bold" if point.number == winner else "normal",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": _INK, "alpha": 0.6} if place.far else None,
        )  # fmt: skip


def _tooltip(point: Point, cost_name: str) -> Html:
    figures = f"{point.quality.value:.4f}, {cost_name} {number(point.cost)}"
    return element("title", f"{point.number} {point.name}: {figures}")


def _inlined(svg: str, spoken: str, tooltips: dict[str, Html]) -> Html:
    """The drawing without what only a file of its own needs: no document type, no namespace, no group ids."""
    body = svg[svg.index("<svg") :].strip()
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r' xmlns(:\w+)?="[^"]*"', "", body).replace("xlink:href", "href")
    body = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", body)
    for colour, of_page in _PAGE_COLOURS.items():
        body = body.replace(colour, of_page)
    for gid, tooltip in tooltips.items():
        body = body.replace(f'<g id="{gid}">', f"<g>{tooltip}")
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    size = re.search(r' width="[^"]*"', body[:400]), re.search(r' height="[^"]*"', body[:400])
    for found in filter(None, size):
        body = body.replace(found.group(), "", 1)
    return Html(body.replace("<svg", str(element("svg", role="img", aria_label=spoken))[: -len("></svg>")], 1))
