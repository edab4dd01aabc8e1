"""The drawings in the report of a load test, as SVG for inside an HTML page. Same verdict, same drawing."""

import math
from collections.abc import Sequence
from itertools import pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from contracts.slo import parse_objective
from loadtests.drawing import INK, LINES, RIGHT, WIDTH, add_axes, inlined, scale
from loadtests.figures import OneSecond
from loadtests.report_style import Html, number, percent
from loadtests.verdict import HookRun, JudgedObjective, Verdict

_BLUE, _PALE, _RED, _AMBER, _GREEN = "#2368b4", "#b9d2ec", "#b3261e", "#b7791f", "#15703a"
_BOX = {"facecolor": "#ffffff", "alpha": 0.85, "linewidth": 0, "pad": 1}
_TICKS = (50, 90, 99, 99.9, 99.99, 99.999, 99.9999)
_NAMED = ("p50", "p90", "p99", "p99.9", "p99.99")
_MOST_STEPS = 600
_LONGEST_COMMAND, _ROW = 52, 18


def draw_latency(verdict: Verdict) -> Html:
    """Milliseconds over the share of requests that took no longer, stretched towards 100 %.

    Each objective `p(N) < B` is a corner that the curve must pass below. Needs a curve.
    """
    bounds = [one for one in verdict.objectives if one.is_latency]
    with matplotlib.rc_context(LINES | {"svg.hashsalt": "latency"}):
        figure = Figure(figsize=(WIDTH / 72, 400 / 72), dpi=72)
        axes = add_axes(figure, 400, bottom=50, top=380, right=745 if bounds else RIGHT)
        places = [_place(share) for share, _ in verdict.curve] + [_corner(one)[0] for one in bounds]
        span = max(max(places) - min(places), 0.5)
        axes.set_xlim(min(places) - 0.21 * span, max(places) + 0.12 * span)
        latencies = [ms for _, ms in verdict.curve]
        scale(axes, latencies + [_corner(one)[1] for one in bounds])
        axes.xaxis.set_major_locator(FixedLocator([_place(tick / 100) for tick in _TICKS]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: percent(1 - 10**-place)))
        axes.set_xlabel("share of the requests that took no longer")
        axes.set_ylabel("latency, ms")
        _shade_failed(axes, verdict)
        axes.plot(places[: len(latencies)], latencies, color=_BLUE, lw=2)
        _draw_bounds(axes, bounds)
        _name_percentiles(axes, verdict)
        return inlined(figure, "Latency over the share of the requests; the figures stand in the table below")


def draw_seconds(verdict: Verdict) -> Html:
    """Requests per second and, below, their latencies; a vertical line where a command ran. Needs seconds."""
    steps = _Steps(verdict.seconds)
    hooks = [hook for hook in verdict.hooks if hook.begun and steps.edges[0] <= hook.seconds <= steps.edges[-1]]
    with matplotlib.rc_context(LINES | {"svg.hashsalt": "seconds"}):
        height = 460 + _ROW * len(hooks)
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        upper = add_axes(figure, height, bottom=255, top=430)
        lower = add_axes(figure, height, bottom=48, top=215)
        _draw_requests(upper, steps)
        _draw_latencies(lower, steps)
        for axes in (upper, lower):
            axes.set_xlim(steps.edges[0], steps.edges[-1])
        upper.tick_params(labelbottom=False)
        several = f" (a step is {steps.width} s: its mean rate, and the latencies of its worst second)"
        lower.set_xlabel("seconds since the start" + (several if steps.width > 1 else ""))
        figure.legend(
            *upper.get_legend_handles_labels(), loc="upper right", ncols=3, bbox_to_anchor=(RIGHT / WIDTH, 1)
        )
        lower.legend(loc="lower right", ncols=2, bbox_to_anchor=(1, 1))
        _mark_hooks(upper, lower, hooks)
        return inlined(figure, "Requests per second and their latencies over the time of the run")


class _Steps:
    """What lies between one edge and the next: a second, or several where there are too many.

    Requests are means per second. Latencies are milliseconds of the worst second, NaN where no valid answer came.
    A second that is not told had no request.
    """

    def __init__(self, seconds: Sequence[OneSecond]) -> None:
        first, end = min(one.second for one in seconds), max(one.second for one in seconds) + 1
        self.width = math.ceil((end - first) / _MOST_STEPS)
        self.edges = [*range(first, end, self.width), end]
        self._groups: list[list[OneSecond]] = [[] for _ in self.edges[1:]]
        for one in seconds:
            self._groups[(one.second - first) // self.width].append(one)
        self.begun, self.failed, self.degraded = map(self._means, ("begun", "failed", "degraded"))
        self.p50_ms, self.p99_ms = map(self._worst, ("p50_ms", "p99_ms"))

    def _means(self, name: str) -> list[float]:
        lengths = [end - begin for begin, end in pairwise(self.edges)]
        sums = [sum(getattr(one, name) for one in group) for group in self._groups]
        return [total / length for total, length in zip(sums, lengths, strict=True)]

    def _worst(self, name: str) -> list[float]:
        found = [[ms for one in group if (ms := getattr(one, name)) is not None] for group in self._groups]
        return [max(values, default=math.nan) for values in found]


def _place(share: float) -> float:
    """Where a share of the requests stands: 1 for 90 %, 2 for 99 %."""
    return -math.log10(1 - share)


def _corner(objective: JudgedObjective) -> tuple[float, float]:
    read = parse_objective(objective.expression)
    return _place(read.percent / 100), read.bound


def _shade_failed(axes: Axes, verdict: Verdict) -> None:
    """Whoever got no valid answer stands right of the curve, beyond any latency."""
    begun, failed = verdict.counts.begun, verdict.counts.begun - verdict.counts.valid
    if failed:
        axes.axvspan(
            max(_place(1 - failed / begun), axes.get_xlim()[0]), axes.get_xlim()[1], facecolor="none",
            edgecolor=_RED, alpha=0.6, hatch="xx", linewidth=0,
        )  # fmt: skip
        words = f"{failed:,} failed ({percent(failed / begun)}): slower than any bound"
        axes.text(0.995, 0.985, words, transform=axes.transAxes, ha="right", va="top", color=_RED, bbox=_BOX)


def _draw_bounds(axes: Axes, bounds: Sequence[JudgedObjective]) -> None:
    (left, right), previous = axes.get_xlim(), -math.inf
    for objective in sorted(bounds, key=_corner):
        (place, bound), colour = _corner(objective), _GREEN if objective.met else _RED
        axes.plot([left, place, place], [bound, bound, axes.get_ylim()[0]], color=colour, lw=1.3, ls=(0, (5, 3)))
        axes.plot([place, right], [bound, bound], color=colour, lw=0.8, ls=":")
        axes.plot(place, bound, marker="s", color=colour, markersize=6)
        height = axes.transData.transform((place, bound))[1]
        previous = max(height, previous + 32)
        words = f"{objective.expression} ms\n{'met' if objective.met else 'MISSED'}"
        axes.annotate(
            words, (1, bound), (8, previous - height),
            xycoords=axes.get_yaxis_transform(), textcoords="offset points", va="center", color=colour,
        )  # fmt: skip


def _name_percentiles(axes: Axes, verdict: Verdict) -> None:
    """Above and left of their dots, where a rising curve leaves room."""
    for name, ms in verdict.figures.latency_ms.items():
        if name in _NAMED and ms is not None:
            at = _place(float(name[1:]) / 100), ms
            axes.plot(*at, marker="o", color=_BLUE, markersize=6)
            axes.annotate(
                f"{name} {number(ms)} ms", at, (-5, 5), textcoords="offset points", ha="right", va="bottom",
                color=_BLUE, bbox=_BOX,
            )  # fmt: skip


def _draw_requests(axes: Axes, steps: _Steps) -> None:
    """What failed lies at the bottom, what was degraded on it, the rest on top: the outline is what was begun."""
    bottoms = [0.0] * len(steps.begun)
    others = [b - f - d for b, f, d in zip(steps.begun, steps.failed, steps.degraded, strict=True)]
    for values, name, fill, edge, hatch in (
        (steps.failed, "failed", "#ffffff", _RED, "xxx"),
        (steps.degraded, "degraded", "#fbe9c6", _AMBER, "///"),
        (others, "neither failed nor degraded", _PALE, _PALE, None),
    ):
        tops = [bottom + value for bottom, value in zip(bottoms, values, strict=True)]
        shown = [top if value else math.nan for top, value in zip(tops, values, strict=True)]
        if any(values):
            axes.stairs(
                shown, steps.edges, baseline=bottoms, fill=True, facecolor=fill, edgecolor=edge, hatch=hatch,
                linewidth=1, label=name, zorder=2.8 if hatch else 1,
            )  # fmt: skip
        bottoms = tops
    axes.set_ylim(0, max(steps.begun) * 1.1)
    axes.set_ylabel("requests per second")


def _draw_latencies(axes: Axes, steps: _Steps) -> None:
    axes.stairs(steps.p99_ms, steps.edges, baseline=None, color=_BLUE, linewidth=1.8, label="p99")
    axes.stairs(steps.p50_ms, steps.edges, baseline=None, color=INK, linewidth=1.4, ls=(0, (3, 1.5)), label="p50")
    scale(axes, [*steps.p50_ms, *steps.p99_ms])
    axes.set_ylabel("latency, ms")


def _mark_hooks(upper: Axes, lower: Axes, hooks: Sequence[HookRun]) -> None:
    """A line through both axes, and the command in a row of its own above, on the side where there is room."""
    (left, right), height = upper.get_xlim(), upper.bbox.height
    for row, hook in enumerate(reversed(hooks)):
        top, rightwards = (row + 0.8) * _ROW, hook.seconds < (left + right) / 2
        style = {"color": INK, "linewidth": 1.1, "linestyle": (0, (1, 1.5))}
        lower.axvline(hook.seconds, **style)
        span, across = [0, 1 + top / height], upper.get_xaxis_transform()
        upper.plot([hook.seconds] * 2, span, transform=across, clip_on=False, **style)
        upper.annotate(
            f"{hook.seconds:g} s: {_shortened(hook.command)}", (hook.seconds, 1), (4 if rightwards else -4, top),
            xycoords=across, textcoords="offset points", va="top", fontsize=11,
            ha="left" if rightwards else "right", bbox=_BOX,
        )  # fmt: skip


def _shortened(command: str) -> str:
    """On one line, in letters that every font has; the table holds the whole of it."""
    words = " ".join(command.split()).encode("ascii", "replace").decode()
    return words if len(words) <= _LONGEST_COMMAND else words[: _LONGEST_COMMAND - 3] + "..."
