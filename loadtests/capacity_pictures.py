"""The drawings of a search for the capacity: latency against throughput, and quality against capacity."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from contracts.slo import parse_objective
from loadtests.capacity import Trial
from loadtests.comparison import Rated
from loadtests.drawing import INK, LINES, WIDTH, add_axes, inlined, scale
from loadtests.report_style import Html, number

_COLOURS = ("#2368b4", "#b3541e", "#15703a", "#7a3e9d", "#8a5a00", "#b3261e", "#3d4a57", "#0e7c86")
_MARKERS = "osD^vPX*"
_HEIGHT = 420


def draw_throughput(rated: Sequence[Rated], objectives: Sequence[str]) -> Html:
    """p99 of every run over its rate; a line through the medians, hollow where the SLO was missed, and a vertical
    line at each capacity. Horizontal ones are the bounds of p99. Runs that were not valid have no latency."""
    with matplotlib.rc_context(LINES | {"svg.hashsalt": "throughput"}):
        figure, axes = _figure("requests per second", "p99 of a run, ms")
        bounds = [read.bound for one in objectives if (read := parse_objective(one)).percent == 99]
        scale(axes, [trial.p99_ms for one in rated for trial in _measured(one)] + bounds)
        for bound in bounds:
            axes.axhline(bound, color=INK, lw=1.2, ls=(0, (5, 3)))
            axes.annotate(
                f"p99 may be {number(bound)} ms", (0.005, bound), (0, 4), xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
            )  # fmt: skip
        for place, one in enumerate(rated):
            _draw_trials(axes, one, place)
        axes.set_xlim(left=0)
        _name_lines(axes)
        return inlined(figure, "Latency against throughput of every run; the figures stand in the table of runs")


def draw_value(rated: Sequence[Rated]) -> Html:
    """Quality with its 95 % interval against what a vCPU of the service carries."""
    shown = [one for one in rated if one.quality is not None and one.capacity.cpu_us]
    with matplotlib.rc_context(LINES | {"svg.hashsalt": "value"}):
        figure, axes = _figure("requests per second and vCPU of the service", shown[0].metric)
        for place, one in enumerate(shown):
            across = 1e6 / one.capacity.cpu_us
            low, high = one.interval or (one.quality, one.quality)
            spread = [[one.quality - low], [high - one.quality]]
            axes.errorbar(
                [across], [one.quality], yerr=spread, color=_COLOURS[place % 8], marker=_MARKERS[place % 8],
                markersize=8, capsize=4, lw=1.4, label=one.name,
            )  # fmt: skip
        _name_lines(axes)
        axes.set_xlim(0, max(1e6 / one.capacity.cpu_us for one in shown) * 1.3)
        return inlined(figure, "Quality against throughput per vCPU; the figures stand in the table above")


def _figure(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH / 72, _HEIGHT / 72), dpi=72)
    axes = add_axes(figure, _HEIGHT, bottom=50, top=370)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def _name_lines(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.14), ncols=3, borderaxespad=0)


def _draw_trials(axes: Axes, one: Rated, place: int) -> None:
    colour, marker = _COLOURS[place % 8], _MARKERS[place % 8]
    trials = _measured(one)
    medians = list(_medians(trials))
    axes.plot(*zip(*medians, strict=True), color=colour, lw=1.6, marker=marker, markersize=0, label=one.name)
    for met in (True, False):
        points = [(trial.rate, trial.p99_ms) for trial in trials if trial.met == met]
        across, up = zip(*points, strict=True) if points else ((), ())
        axes.plot(across, up, ls="", marker=marker, color=colour, mfc=colour if met else "#ffffff", markersize=6)
    if one.capacity.rate:
        axes.axvline(one.capacity.rate, color=colour, lw=1.1, ls=(0, (1, 1.5)))


def _measured(one: Rated) -> list[Trial]:
    """In the order of their rates. A p99 beyond any bound has no place in a picture."""
    found = [trial for trial in one.capacity.trials if trial.p99_ms is not None and math.isfinite(trial.p99_ms)]
    return sorted(found, key=lambda trial: trial.rate)


def _medians(trials: Sequence[Trial]) -> Iterator[tuple[float, float]]:
    for rate, group in groupby(trials, key=lambda trial: trial.rate):
        yield rate, median(trial.p99_ms for trial in group)
