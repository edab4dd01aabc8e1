"""From a tally to a verdict: did the service keep its objectives, and may this run say so at all?

A request that failed, or got no answer, counts as slower than any bound: errors must not buy latency.
Percentiles are exact (nearest rank over every request begun) and need at least 10 / (1 - p) samples.
"""

import math
from array import array
from collections.abc import Sequence
from typing import Literal

import msgspec

from contracts.reasons import Reason
from contracts.slo import Objective
from loadtests.tally import Counts, Tally

MIN_MODEL_SHARE = 0.999
"""Of the answers to known users. An empty feature cache answers fast, and must not look fast."""
MAX_CPU_SHARE = 0.9
"""Of one core. Above it a generator process measures its own queue, not the service's."""
PERCENTS = (50.0, 90.0, 99.0)

Outcome = Literal["met", "missed", "not valid"]
_EXIT_CODES: dict[Outcome, int] = {"met": 0, "missed": 1, "not valid": 3}


class Setup(msgspec.Struct, forbid_unknown_fields=True):
    """What was asked, of whom, and how hard."""

    url: str
    users: int
    think_ms: float
    known_percent: float
    zipf_exponent: float
    k: int
    known_users: int
    median_history: float
    workload: Literal["closed"] = "closed"


class JudgedObjective(msgspec.Struct, forbid_unknown_fields=True):
    """`value` is milliseconds or a share; None when too few valid answers came to have one."""

    expression: str
    value: float | None
    met: bool


class Figures(msgspec.Struct, forbid_unknown_fields=True):
    """Shares are 0 to 1. `latency_ms` leaves out a percentile with too few samples; None is beyond any bound."""

    requests_per_second: float
    goodput_per_second: float
    success: float
    goodput: float
    degraded: float | None
    latency_ms: dict[str, float | None]


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """`problems` say why a run is not valid; such a run has counts, but no figures and no objectives."""

    outcome: Outcome
    problems: list[str]
    objectives: list[JudgedObjective]
    figures: Figures | None
    counts: Counts
    setup: Setup
    schema_version: int = 1

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self.outcome]


def judge(tally: Tally, objectives: Sequence[Objective], setup: Setup, *, saturated: bool = False) -> Verdict:
    """Judge one run. `saturated` says that the generator noticed itself that it was the limit."""
    problems = find_problems(tally, objectives, saturated=saturated)
    if problems:
        return Verdict("not valid", problems, [], None, tally.counts, setup)
    judged = [_judge_objective(tally, objective, objectives) for objective in objectives]
    outcome: Outcome = "met" if all(one.met for one in judged) else "missed"
    return Verdict(outcome, [], judged, measure(tally, objectives), tally.counts, setup)


def find_problems(tally: Tally, objectives: Sequence[Objective], *, saturated: bool = False) -> list[str]:
    """Why a run may give no figure, with what was found, expected and to do; empty when it may."""
    counts = tally.counts
    if not counts.answered:
        return [f"no answers: {counts.begun} requests were sent. Is the service running at that URL?"]
    problems = []
    if not counts.finished:
        problems.append("a process of the load generator never reported its end: its requests are missing.")
    if saturated or counts.cpu_share > MAX_CPU_SHARE:
        problems.append(
            f"the load generator was the limit: it used {counts.cpu_share:.0%} of a core, expected at most "
            f"{MAX_CPU_SHARE:.0%}. Let the users think longer, use fewer, or more processes."
        )
    percents = [objective.percent for objective in objectives if objective.percent is not None]
    if percents and counts.begun < (needed := samples_needed(max(percents))):
        problems.append(
            f"too few samples for p{max(percents):g}: found {counts.begun}, expected at least {needed}. "
            "Run longer, or with more users."
        )
    return problems + _find_missing_model(counts, objectives)


def measure(tally: Tally, objectives: Sequence[Objective]) -> Figures:
    """The figures of a run that had answers."""
    counts = tally.counts
    good = _good(tally, objectives)
    ordered = _ordered_us(tally)
    return Figures(
        requests_per_second=counts.answered / counts.seconds,
        goodput_per_second=good / counts.seconds,
        success=counts.valid / counts.begun,
        goodput=good / counts.begun,
        degraded=_degraded_share(tally),
        latency_ms={
            f"p{percent:g}": percentile_ms(ordered, percent, counts.begun)
            for percent in PERCENTS
            if counts.begun >= samples_needed(percent)
        },
    )


def samples_needed(percent: float) -> int:
    """How many requests a percentile needs to mean something: 10 beyond it."""
    return math.ceil(round(1000 / (100 - percent), 6))


def percentile_ms(ordered_us: Sequence[int], percent: float, begun: int) -> float | None:
    """Nearest rank among `begun` requests of which only `ordered_us`, ascending, were answered well.

    None when the rank falls on a request that failed.
    """
    rank = math.ceil(round(percent * begun / 100, 6))
    return ordered_us[rank - 1] / 1000 if rank <= len(ordered_us) else None


def _judge_objective(tally: Tally, objective: Objective, objectives: Sequence[Objective]) -> JudgedObjective:
    begun = tally.counts.begun
    if objective.percent is not None:
        value = percentile_ms(_ordered_us(tally), objective.percent, begun)
    elif objective.figure == "success":
        value = tally.counts.valid / begun
    elif objective.figure == "goodput":
        value = _good(tally, objectives) / begun
    else:
        value = _degraded_share(tally)
    return JudgedObjective(objective.expression, value, value is not None and objective.is_met(value))


def _ordered_us(tally: Tally) -> list[int]:
    return sorted(tally.healthy_us + tally.degraded_us)


def _good(tally: Tally, objectives: Sequence[Objective]) -> int:
    """Valid answers that are not degraded and no slower than the loosest latency bound of the SLO."""
    bounds_us = [objective.bound * 1000 for objective in objectives if objective.percent is not None]
    healthy: array = tally.healthy_us
    return sum(us <= max(bounds_us) for us in healthy) if bounds_us else len(healthy)


def _degraded_share(tally: Tally) -> float | None:
    valid = len(tally.healthy_us) + len(tally.degraded_us)
    return len(tally.degraded_us) / valid if valid else None


def _find_missing_model(counts: Counts, objectives: Sequence[Objective]) -> list[str]:
    """Known users must get the model, unless the service reports a fault that the SLO judges.

    An empty feature cache excuses nothing: it means that nobody filled it for this test.
    """
    judged = any(objective.figure in ("degraded", "goodput") for objective in objectives)
    without = {
        reason: number
        for reason, number in counts.known_without_model.items()
        if not (judged and Reason(reason).degraded and reason != Reason.FEATURE_CACHE_EMPTY)
    }
    known = counts.known_by_model + sum(without.values())
    if not without or counts.known_by_model >= MIN_MODEL_SHARE * known:
        return []
    reasons = ", ".join(f"{reason} {number}" for reason, number in without.items())
    return [
        f"only {counts.known_by_model / known:.2%} of the answers to known users came from the model, expected "
        f"at least {MIN_MODEL_SHARE:.1%} (the others: {reasons}). Fill the features with `flyweight "
        "materialize` from the log that the traffic file was written from."
    ]
