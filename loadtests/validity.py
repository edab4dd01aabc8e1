"""May a run give figures at all? Whatever makes it lie is said, with what was found, expected, and to do."""

from collections.abc import Sequence
from math import ceil, sqrt

from contracts.reasons import Reason
from contracts.slo import Objective
from loadtests.tally import Counts, Tally

MIN_MODEL_SHARE = 0.999
"""Of the answers to known users. An empty feature cache answers fast, and must not look fast."""
MAX_CPU_SHARE = 0.9
"""Of one core. Above it a generator process measures its own queue, not the service's."""
MAX_CLOCK_JUMP_SECONDS = 0.5
_DEVIATIONS = 5
"""Of a Poisson count: what comes this far from the rate was not sent at that rate."""


def find_problems(
    tally: Tally, objectives: Sequence[Objective], *, expected: float | None, max_lag_ms: float
) -> list[str]:
    """Empty when the run may give figures. `expected`: how many requests are due; None for a closed workload.

    `max_lag_ms`: so late may one request in a hundred leave the generator. The latency counts it either way.
    """
    counts = tally.counts
    if not counts.answered:
        return [f"no answers: {counts.begun} requests were sent. Is the service running at that URL?"]
    return [
        *_find_in_generator(tally, max_lag_ms),
        *_find_in_rate(counts, expected),
        *_find_too_few(counts, objectives),
        *_find_missing_model(counts, objectives),
    ]


def _find_in_generator(tally: Tally, max_lag_ms: float) -> list[str]:
    health, problems = tally.health, []
    if not health.finished:
        problems.append("a process of the load generator never reported its end: its requests are missing.")
    if health.cpu_share > MAX_CPU_SHARE:
        problems.append(
            f"the load generator was the limit: it used {health.cpu_share:.0%} of a core, expected at most "
            f"{MAX_CPU_SHARE:.0%}. Ask for a lower rate, or use more processes (--processes)."
        )
    lag_ms = tally.lag_us.get_value_at_percentile(99) / 1000
    if lag_ms > max_lag_ms:
        problems.append(
            f"the load generator was late: 1 % of the requests left it {lag_ms:.1f} ms or more after they were "
            f"due, expected less than {max_lag_ms:g} ms. Ask for a lower rate, or give it a core of its own."
        )
    if health.clock_jump_seconds > MAX_CLOCK_JUMP_SECONDS:
        problems.append(
            f"the clock of the machine jumped by {health.clock_jump_seconds:.1f} s, or it slept. Run again."
        )
    return problems


def _find_in_rate(counts: Counts, expected: float | None) -> list[str]:
    if expected is None or abs(counts.begun - expected) <= _DEVIATIONS * sqrt(expected):
        return []
    return [
        f"the rate was not reached: {counts.begun:,} requests were sent, expected about {expected:,.0f}. Let the "
        "run come to its end, and give the generator the CPU that it needs."
    ]


def _find_too_few(counts: Counts, objectives: Sequence[Objective]) -> list[str]:
    percents = [objective.percent for objective in objectives if objective.percent is not None]
    if not percents or counts.begun >= (needed := samples_needed(max(percents))):
        return []
    return [
        f"too few samples for p{max(percents):g}: found {counts.begun}, expected at least {needed}. "
        "Run longer, or at a higher rate."
    ]


def samples_needed(percent: float) -> int:
    """How many requests a percentile needs to mean something: 10 beyond it."""
    return ceil(round(1000 / (100 - percent), 6))


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
