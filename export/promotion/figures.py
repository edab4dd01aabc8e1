"""Single figures of a measured artifact as [promotion] names them, and what the cheapest is compared by.

What was not measured, or is no number, is None: whoever needs it says so and never lets it pass.
"""

import math
from typing import NamedTuple

from contracts.thresholds import RECALL, THROUGHPUT
from export.measuring.evaluation import Estimate
from export.measuring.footprint import Footprint
from export.measuring.latency import Latency
from export.measuring.measured import Candidate

COST_FIGURES = {"latency": "p50_ms", "size": "size_mb", "memory": "memory_mb", "throughput": THROUGHPUT}
"""The figure that stands for each `[promotion] cost`."""
MEMORY_NOISE_MB = 0.5
"""Memory is measured once. Twelve fresh processes with one artifact lay within 0.1 MB of each other."""


class Cost(NamedTuple):
    """Less is cheaper; `low` to `high` is the noise. Two costs whose noise overlaps are a tie."""

    value: float
    low: float
    high: float


def figure_of(candidate: Candidate, name: str) -> float | None:
    """One of `contracts.thresholds.FIGURES`; qualities are shares, the rest carries its unit in its name."""
    measured, latency = candidate.measured, _smallest_batch(candidate)
    figures = costs_of(latency, measured.size_bytes, measured.footprint) | {
        THROUGHPUT: 1000 / _best_batch(candidate).value if _best_batch(candidate) else None,
        RECALL: measured.recall,
    }
    if name in figures:
        return _number(figures[name])
    estimate = measured.quality.metrics.get(name)
    return _number(estimate and estimate.value)


def costs_of(latency: Latency | None, size_bytes: int, footprint: Footprint) -> dict[str, float | None]:
    """What an artifact costs, whatever it is worth: the figures of `contracts.thresholds.COSTS`."""
    return {
        "p50_ms": latency and latency.p50_ms,
        "p99_ms": latency and latency.p99_ms,
        "size_mb": size_bytes / 1e6,
        "memory_mb": footprint.memory_mb,
        "start_ms": footprint.cold_start_ms,
    }


def quality_of(candidate: Candidate) -> float | None:
    """The promotion metric."""
    return figure_of(candidate, candidate.measured.metric)


def quality_interval(candidate: Candidate) -> Estimate | None:
    """The promotion metric with its interval."""
    estimate = candidate.measured.quality.metrics.get(candidate.measured.metric)
    return estimate and _whole(estimate)


def gain_over_baseline(candidate: Candidate) -> Estimate | None:
    """The paired difference to the baseline with its interval."""
    return _whole(candidate.measured.against_baseline.difference)


def difference_to(candidate: Candidate, best: Candidate) -> Estimate | None:
    """The paired difference to `best`. Measuring compares with one artifact, the most accurate of all: when
    limits make another one the best, there is no interval."""
    against = candidate.measured.against_best
    return _whole(against.difference) if against.version == best.artifact.version else None


def cost_of(candidate: Candidate, kind: str) -> Cost | None:
    """`latency` in milliseconds at the smallest batch, `throughput` in milliseconds per prediction at the best
    batch, `size` and `memory` in MB."""
    if kind == "throughput":
        return _best_batch(candidate)
    if kind == "latency":
        latency = _smallest_batch(candidate)
        return _cost(latency, 1) if latency else None
    value = figure_of(candidate, COST_FIGURES[kind])
    noise = MEMORY_NOISE_MB if kind == "memory" else 0.0
    return None if value is None else Cost(value, value, value + noise)


def _smallest_batch(candidate: Candidate) -> Latency | None:
    return min(candidate.measured.latency, key=lambda latency: latency.batch_size, default=None)


def _best_batch(candidate: Candidate) -> Cost | None:
    costs = [_cost(latency, latency.batch_size) for latency in candidate.measured.latency]
    return min((cost for cost in costs if cost), default=None)


def _cost(latency: Latency, predictions: int) -> Cost | None:
    """Milliseconds per prediction, with the spread of the rounds."""
    took = (latency.p50_ms, latency.low_ms, latency.high_ms)
    return Cost(*(ms / predictions for ms in took)) if all(_number(ms) for ms in took) else None


def ratio_of(one: Candidate, other: Candidate, kind: str) -> float | None:
    """How many times the cost of `other` the cost of `one` is."""
    costs = cost_of(one, kind), cost_of(other, kind)
    return costs[0].value / costs[1].value if all(costs) and costs[1].value else None


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _whole(estimate: Estimate) -> Estimate | None:
    finite = all(map(math.isfinite, (estimate.value, estimate.low, estimate.high)))
    return estimate if finite else None
