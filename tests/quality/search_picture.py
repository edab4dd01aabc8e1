"""Recall against time per query, a line per method, as SVG. Same report, same bytes."""

from __future__ import annotations

from io import StringIO
from itertools import cycle
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from searching import Report

_COLOURS = (
    "#c8402f", "#e0883a", "#d6a92b", "#2368b4", "#1a7f5a", "#5aa469", "#8fbf6a", "#8a5bbf", "#59636e", "#a4acb5",
)  # fmt: skip
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "searching", "font.family": "sans-serif", "font.size": 11.0}


def draw(report: Report) -> bytes:
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(720 / 72, 460 / 72), dpi=72)
        axes = figure.add_axes((0.085, 0.12, 0.655, 0.79))
        axes.set_title(
            f"The best ten of {report.items:,} items, one thread, one query at a time", loc="left",
            fontweight="bold", fontsize=13,
        )  # fmt: skip
        drawn = [method for method in report.methods if not method.name.startswith("exact")]
        for method, colour in zip(drawn, cycle(_COLOURS), strict=False):
            ours = "(ours)" in method.name
            points = sorted(method.points, key=lambda point: point.recall)
            axes.plot(
                [point.alone_us for point in points], [point.recall for point in points], color=colour,
                linewidth=3 if ours else 1.6, marker="o", markersize=7 if ours else 5, label=method.name,
                zorder=3 if ours else 2,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(FixedLocator([0.8, 0.85, 0.9, 0.95, 1.0]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))
        axes.set_xlabel("microseconds per query (median)")
        axes.set_ylabel("recall@10")
        axes.grid(color="#dfe3e8", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="center left", bbox_to_anchor=(0.755, 0.5), frameon=False, labelspacing=0.9)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue().encode()
