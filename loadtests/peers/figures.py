"""Every figure of the bench, raw and as medians over rounds, and what is made of them: ratios and the verdict."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import TypeVar

import msgspec

from loadtests.peers.ceiling import Rate
from loadtests.peers.contenders import OURS
from loadtests.peers.world import PLAIN_GRAPH
from loadtests.peers.wrk import Errors

Key = TypeVar("Key")
Figure = TypeVar("Figure")

WORTH_BEATING = {"fastapi": 0.26, "plain-bentoml": 0.09}
"""The share of the plain graph's ceiling that a peer must reach with the transformer."""


class Measured(msgspec.Struct, frozen=True):
    """One timed pass over one contender, or the medians of several (then `round` is 0).

    `cpu_us` is user and system time of its whole process tree per answer; `cpu_us_beside_predict` leaves out the
    time of the predict stage as the service's own metrics tell it. That is time on the clock, waiting for a core
    included, so the figure is a lower bound; None where there are no such metrics. `fallbacks` are answers with
    status 200 that the model did not give, by the same metrics: a timed pass does not look at answers. Of errors,
    fallbacks and unanswered the median is the worst round. `busiest_worker` is its share of the connections: the
    system deals them out by chance, and unevenly. `generator_cores` is how much of a core wrk itself took from
    the contender.
    """

    model: str
    contender: str
    connections: int
    round: int
    answers: int
    rps: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: Errors
    fallbacks: int | None
    unanswered: int
    cpu_us: float
    cpu_us_beside_predict: float | None
    memory_mb: float
    busiest_worker: float
    generator_cores: float
    p90_ms: float = 0.0


class Ceiling(msgspec.Struct, frozen=True):
    """What onnxruntime alone managed with a model in one round, or the medians (then `round` is 0)."""

    model: str
    round: int
    rate: Rate


class Ratio(msgspec.Struct, frozen=True):
    """Requests a second of `contender` over those of `beside`; the ceiling has no connections (0)."""

    model: str
    contender: str
    beside: str
    connections: int
    ratio: float


def medians(raw: Iterable[Measured]) -> list[Measured]:
    """One `Measured` per model, contender and number of connections, in the order they first came."""
    return [_median(group) for group in _grouped(raw, lambda m: (m.model, m.contender, m.connections))]


def median_ceilings(raw: Iterable[Ceiling]) -> list[Ceiling]:
    """One `Ceiling` per model, number of processes and batch size."""
    groups = _grouped(raw, lambda c: (c.model, c.rate.processes, c.rate.batch))
    return [
        Ceiling(
            group[0].model,
            0,
            Rate(
                group[0].rate.processes,
                group[0].rate.batch,
                median(ceiling.rate.predictions_per_second for ceiling in group),
            ),
        )
        for group in groups
    ]


def ratios(measured: Iterable[Measured], ceilings: Iterable[Ceiling]) -> list[Ratio]:
    """Ours over each peer at each number of connections, and everyone's over the ceiling (two processes, 32)."""
    measured = list(measured)
    tops = {model: best_ceiling(model, ceilings) for model in {m.model for m in measured}}
    found = []
    for one in measured:
        alike = [m for m in measured if (m.model, m.connections) == (one.model, one.connections)]
        for other in alike if one.contender in OURS else ():
            if other.contender not in OURS and other.rps:
                found.append(
                    Ratio(one.model, one.contender, other.contender, one.connections, one.rps / other.rps)
                )
        if top := tops[one.model]:
            found.append(Ratio(one.model, one.contender, "onnxruntime", one.connections, one.rps / top))
    return found


def best_ceiling(model: str, ceilings: Iterable[Ceiling]) -> float | None:
    """Predictions a second of two processes at batch 32, or None where that was not measured."""
    for one in ceilings:
        if (one.model, one.rate.processes, one.rate.batch) == (model, 2, 32):
            return one.rate.predictions_per_second
    return None


def why_void(measured: Iterable[Measured], ceilings: Iterable[Ceiling]) -> list[str] | None:
    """What makes the table void: peers not worth beating, each in words. None where that was not measured.

    A peer is judged with the transformer, at the number of connections where it is best, by what onnxruntime alone
    manages with the graph that computes every position.
    """
    measured, top = list(measured), best_ceiling(PLAIN_GRAPH, ceilings)
    reasons = []
    for peer, share in WORTH_BEATING.items():
        rates = [m.rps for m in measured if (m.model, m.contender) == ("transformer", peer)]
        if not rates or not top:
            return None
        if max(rates) / top < share:
            reasons.append(
                f"{peer} reaches {max(rates) / top:.3f} of onnxruntime alone on the plain graph, "
                f"expected at least {share}"
            )
    return reasons


def _grouped(figures: Iterable[Figure], key: Callable[[Figure], Key]) -> list[list[Figure]]:
    groups: dict[Key, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(key(figure), []).append(figure)
    return list(groups.values())


def _median(group: list[Measured]) -> Measured:
    def middle(name: str) -> float | None:
        values = [value for one in group if (value := getattr(one, name)) is not None]
        return median(values) if values else None

    names = (
        "rps", "p50_ms", "p99_ms", "max_ms", "cpu_us", "cpu_us_beside_predict", "memory_mb", "busiest_worker",
        "generator_cores", "p90_ms",
    )  # fmt: skip
    return msgspec.structs.replace(
        group[0],
        round=0,
        answers=round(middle("answers")),
        errors=max((one.errors for one in group), key=lambda errors: errors.total),
        fallbacks=max((one.fallbacks for one in group if one.fallbacks is not None), default=None),
        unanswered=max(one.unanswered for one in group),
        **{name: middle(name) for name in names},
    )
