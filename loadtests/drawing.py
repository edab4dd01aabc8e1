"""Drawings for inside an HTML page: their measures, colours and axes, and how they become SVG."""

import math
import re
from collections.abc import Sequence
from html import escape
from io import StringIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullLocator

from loadtests.report_style import Html, element

WIDTH, LEFT, RIGHT = 920, 70, 900
"""Of a drawing and its axes. A unit is a pixel where the drawing is shown 920 pixels wide."""
INK, _QUIET, _GRID = "#1c2127", "#5b6570", "#dfe3e8"
LINES = {
    "svg.fonttype": "none", "text.parse_math": False, "font.family": "sans-serif", "font.size": 12.0,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": _QUIET, "xtick.color": INK,
    "ytick.color": INK, "figure.facecolor": "none", "axes.facecolor": "none",
    "legend.frameon": False, "legend.borderaxespad": 0.2,
}  # fmt: skip
_LOGARITHMIC_FROM = 20
"""Times that the greatest value is the smallest one."""


def add_axes(figure: Figure, height: int, *, bottom: int, top: int, right: int = RIGHT) -> Axes:
    """Axes whose edges lie at these pixels, counted from the lower left corner of the figure."""
    size = (right - LEFT) / WIDTH, (top - bottom) / height
    axes = figure.add_axes((LEFT / WIDTH, bottom / height, *size))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def scale(axes: Axes, values: Sequence[float]) -> None:
    """A vertical axis that shows these values, logarithmic where they differ much."""
    found = [value for value in values if not math.isnan(value)] or [1.0]
    low, high = min(found), max(found)
    if low > 0 and high / low > _LOGARITHMIC_FROM:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.6, high * (high / low) ** 0.12)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1e4 else (1,)))
    else:
        axes.set_ylim(0, high * 1.2)
        axes.yaxis.set_major_locator(AutoLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def inlined(figure: Figure, spoken: str) -> Html:
    """The drawing without what only a file of its own needs: no document type, no namespace, no style, no ids.

    `spoken`: what it shows, for those who do not see it.
    """
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    body = out.getvalue()[out.getvalue().index("<svg") :].strip()
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r' xmlns(:\w+)?="[^"]*"', "", body).replace("xlink:href", "href")
    body = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", body)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'^<svg width="[^"]*" height="[^"]*"', "<svg", body)
    body = body.replace("<svg", f'<svg role="img" aria-label="{escape(spoken)}"', 1)
    return element("figure", Html(body), class_="plot")
