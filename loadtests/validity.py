"""May a run give figures at all? Whatever makes it lie is said, with what was found, expected, and to do."""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Literal

import msgspec

from contracts.reasons import Reason
from contracts.slo import Objective
from loadtests.counts import Counts
from loadtests.tally import Tally

MIN_MODEL_SHARE = 0.999
"""Of the answers to users with a history. An empty feature cache answers fast, and must not look fast."""
MAX_CPU_SHARE = 0.9
"""Of one core. Above it a generator process measures its own queue, not the service's."""
MAX_CLOCK_JUMP_SECONDS = 0.5
NO_OBJECTIVE = (
    "no objective holds in this scenario, so there is nothing to keep or to miss. Add one to [slo] predict, as in "
    "`success >= 0.999`."
)
_DEVIATIONS = 5
"""Of a count of chance: what comes this far from the expected was not asked as it should have been."""

Blame = Literal["setup", "load", "service"]
"""Where a problem lies, and so what a search makes of it: no other rate mends the setup; at a lower rate the load
may be as it should; a service that weakens its answers under load is as good as one that misses the SLO."""


class Problem(msgspec.Struct, frozen=True):
    words: str
    lies_with: Blame


def find_problems(
    tally: Tally,
    objectives: Sequence[Objective],
    *,
    expected: float | None,
    max_lag_ms: float,
    known_share: float | None = None,
) -> list[Problem]:
    """Empty when the run may give figures. `expected`: how many requests are due; None for a closed workload.

    `max_lag_ms`: so late may one request in a hundred leave the generator. The latency counts it either way.
    `known_share`: of the visits, which known users were to make.
    """
    counts = tally.counts
    if not counts.answered:
        words = f"no answers: {counts.begun} requests were sent. Is the service running at that URL?"
        return [Problem(words, "setup")]
    return [
        *_find_no_objective(objectives),
        *_find_in_generator(tally, max_lag_ms),
        *_find_in_rate(counts, expected),
        *_find_in_mix(counts, known_share),
        *_find_too_few(counts, objectives),
        *_find_missing_model(counts, objectives),
    ]


def whose(problems: Sequence[Problem]) -> Blame | None:
    """Where the gravest of them lies."""
    found = {problem.lies_with for problem in problems}
    return next((blame for blame in ("setup", "load", "service") if blame in found), None)


def _find_no_objective(objectives: Sequence[Objective]) -> list[Problem]:
    """All of nothing is kept by every service."""
    return [] if objectives else [Problem(NO_OBJECTIVE, "setup")]


def _find_in_generator(tally: Tally, max_lag_ms: float) -> list[Problem]:
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
    return [Problem(words, "load") for words in problems]


def _find_in_rate(counts: Counts, expected: float | None) -> list[Problem]:
    if expected is None or abs(counts.begun - expected) <= _DEVIATIONS * sqrt(expected):
        return []
    words = (
        f"the rate was not reached: {counts.begun:,} requests were sent, expected about {expected:,.0f}. Let the "
        "run come to its end, and give the generator the CPU that it needs."
    )
    return [Problem(words, "load")]


def _find_in_mix(counts: Counts, known_share: float | None) -> list[Problem]:
    """A worker that was started by hand may know other users than the master, whose words the verdict has."""
    if known_share is None or not counts.visits:
        return []
    deviation = sqrt(counts.visits * known_share * (1 - known_share))
    if abs(counts.known_visits - counts.visits * known_share) <= _DEVIATIONS * deviation:
        return []
    words = (
        f"known users made {counts.known_visits:,} of {counts.visits:,} visits, expected {known_share:.0%} of "
        "them. Give the same --traffic FILE to every process of the generator."
    )
    return [Problem(words, "setup")]


def _find_too_few(counts: Counts, objectives: Sequence[Objective]) -> list[Problem]:
    percents = [objective.percent for objective in objectives if objective.percent is not None]
    if not percents or counts.begun >= (needed := samples_needed(max(percents))):
        return []
    words = (
        f"too few samples for p{max(percents):g}: found {counts.begun}, expected at least {needed}. "
        "Run longer, or at a higher rate."
    )
    return [Problem(words, "load")]


def samples_needed(percent: float) -> int:
    """How many requests a percentile needs to mean something: 10 beyond it."""
    return ceil(round(1000 / (100 - percent), 6))


def _find_missing_model(counts: Counts, objectives: Sequence[Objective]) -> list[Problem]:
    """Who has a history must get the model, unless the service reports a fault that the SLO judges.

    An empty feature cache excuses nothing: it means that nobody filled it for this test.
    """
    judged = any(objective.figure in ("degraded", "goodput") for objective in objectives)
    fill = "Fill the features with `flyweight materialize` from the log that the traffic file was written from."
    write = "Write the traffic file for the artifact that is served, with `flyweight materialize --traffic FILE`."
    return [
        *_find_without("known users", counts.known_by_model, counts.known_without_model, judged, fill),
        *_find_without(
            "anonymous users with a history",
            counts.anonymous_by_model,
            counts.anonymous_without_model,
            judged,
            write,
        ),
    ]


def _find_without(who: str, by_model: int, others: Mapping[str, int], judged: bool, remedy: str) -> list[Problem]:
    lasting = {reason: number for reason, number in others.items() if not _comes_with_load(reason)}
    counted = lasting if judged else others
    if _is_enough(by_model, counted):
        return []
    reasons = ", ".join(f"{reason} {number}" for reason, number in counted.items())
    words = (
        f"only {by_model / (by_model + sum(counted.values())):.2%} of the answers to {who} came from the model, "
        f"expected at least {MIN_MODEL_SHARE:.1%} (the others: {reasons}). {remedy}"
    )
    return [Problem(words, "service" if _is_enough(by_model, lasting) else "setup")]


def _is_enough(by_model: int, others: Mapping[str, int]) -> bool:
    return not others or by_model >= MIN_MODEL_SHARE * (by_model + sum(others.values()))


def _comes_with_load(reason: str) -> bool:
    """Whether the service says of a fault that it may come and go."""
    return Reason(reason).degraded and reason != Reason.FEATURE_CACHE_EMPTY
