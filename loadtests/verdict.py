"""From a tally to a verdict: did the service keep its objectives, and may this run say so at all?

A request that failed, or got no answer, counts as slower than any bound: errors must not buy latency.
Percentiles are by nearest rank over every request that was due, and need at least 10 / (1 - p) of them.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from hdrh.histogram import HdrHistogram

from contracts.slo import Objective
from loadtests.event_verdict import EventsVerdict
from loadtests.objectives import JudgedObjective, percentile_ms
from loadtests.tally import Counts, Health, Tally
from loadtests.validity import Blame, find_problems, samples_needed, whose

PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)

Outcome = Literal["met", "missed", "not valid"]
EXIT_CODES: dict[Outcome, int] = {"met": 0, "missed": 1, "not valid": 3}


class Setup(msgspec.Struct, forbid_unknown_fields=True):
    """What was asked, of whom, and how hard. Shares are 0 to 1.

    `workload` in words. `expected`: how many requests were due; None for a closed workload, where the next request
    waits for an answer.
    """

    scenario: str
    url: str
    workload: str
    expected: float | None
    seconds: float
    known_share: float
    anonymous_share: float
    zipf_exponent: float
    k: int
    known_users: int
    median_history: float
    generators: int = 1
    max_lag_ms: float = 10.0


class HookRun(msgspec.Struct, forbid_unknown_fields=True):
    """A command that was to run during the test, `--at SECONDS COMMAND`. `exit_code`: None while it still ran.

    `begun`: False where the test ended before its moment.
    """

    seconds: float
    command: str
    exit_code: int | None = None
    begun: bool = True

    @property
    def failed(self) -> bool:
        """Whether what was to happen during the test may not have happened."""
        return not self.begun or self.exit_code not in (0, None)


class Figures(msgspec.Struct, forbid_unknown_fields=True):
    """Rates are by the time in which requests were due; shares are 0 to 1.

    `latency_ms` leaves out a percentile with too few samples; None is beyond any bound. `first_good_seconds`: from
    the start to the first good answer; None where none came.
    """

    requests_per_second: float
    goodput_per_second: float
    success: float
    goodput: float
    degraded: float | None
    latency_ms: dict[str, float | None]
    lag_ms: dict[str, float]
    first_good_seconds: float | None = None
    accepted_ms: dict[str, float] = {}
    """Of valid answers alone: says something only beside the share of the others."""


class OneSecond(msgspec.Struct, forbid_unknown_fields=True):
    """For pictures. Milliseconds; None where no valid answer came."""

    second: int
    begun: int
    failed: int
    degraded: int
    p50_ms: float | None
    p99_ms: float | None


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """`problems` say why a run is not valid; such a run has counts, but no figures and no objectives.

    `blame`: where the gravest of them lies. `curve`: (share of the requests, milliseconds) for the picture of the
    latencies. `events`: of POST /events, where the scenario sends any.
    """

    outcome: Outcome
    problems: list[str]
    objectives: list[JudgedObjective]
    figures: Figures | None
    counts: Counts
    health: Health
    setup: Setup
    hooks: list[HookRun] = []
    seconds: list[OneSecond] = []
    curve: list[tuple[float, float]] = []
    service: dict[str, object] = {}
    generator: dict[str, object] = {}
    blame: Blame | None = None
    events: EventsVerdict | None = None
    schema_version: int = 3

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def judge(tally: Tally, objectives: Sequence[Objective], setup: Setup, **more: object) -> Verdict:
    """Judge one run; `more` are fields of `Verdict` that need no judging."""
    problems = find_problems(
        tally,
        objectives,
        expected=setup.expected,
        max_lag_ms=setup.max_lag_ms,
        known_share=setup.known_share,
    )
    if problems:
        words, blame = [problem.words for problem in problems], whose(problems)
        return Verdict("not valid", words, [], None, tally.counts, tally.health, setup, blame=blame, **more)
    judged = [_judge_objective(tally, objective) for objective in objectives]
    outcome: Outcome = "met" if all(one.met for one in judged) else "missed"
    pictures = {"seconds": _by_second(tally), "curve": _curve(tally)}
    return Verdict(outcome, [], judged, measure(tally), tally.counts, tally.health, setup, **pictures, **more)


def measure(tally: Tally) -> Figures:
    """The figures of a run that had answers."""
    counts, seconds = tally.counts, tally.health.due_seconds or tally.health.seconds
    valid_us = _valid_us(tally)
    return Figures(
        requests_per_second=counts.answered / seconds,
        goodput_per_second=counts.good / seconds,
        success=counts.valid / counts.begun,
        goodput=counts.good / counts.begun,
        degraded=_degraded_share(tally),
        latency_ms={
            f"p{percent:g}": percentile_ms(valid_us, percent, counts.begun)
            for percent in PERCENTS
            if counts.begun >= samples_needed(percent)
        },
        lag_ms={f"p{percent:g}": tally.lag_us.get_value_at_percentile(percent) / 1000 for percent in (50, 99)},
        first_good_seconds=tally.health.first_good_seconds,
        accepted_ms={
            f"p{percent:g}": valid_us.get_value_at_percentile(percent) / 1000
            for percent in PERCENTS
            if counts.valid >= samples_needed(percent)
        },
    )


def _judge_objective(tally: Tally, objective: Objective) -> JudgedObjective:
    counts = tally.counts
    if objective.percent is not None:
        value = percentile_ms(_valid_us(tally), objective.percent, counts.begun)
    elif objective.figure == "success":
        value = counts.valid / counts.begun
    elif objective.figure == "goodput":
        value = counts.good / counts.begun
    else:
        value = _degraded_share(tally)
    return JudgedObjective(objective.expression, value, value is not None and objective.is_met(value))


def _valid_us(tally: Tally) -> HdrHistogram:
    total = Tally().healthy_us
    total.add(tally.healthy_us)
    total.add(tally.degraded_us)
    return total


def _degraded_share(tally: Tally) -> float | None:
    degraded, healthy = tally.degraded_us.get_total_count(), tally.healthy_us.get_total_count()
    return degraded / (degraded + healthy) if degraded + healthy else None


def _by_second(tally: Tally) -> list[OneSecond]:
    found = []
    for number, one in sorted(tally.seconds.items()):
        p50, p99 = (_of_second(one.latency_us, percent) for percent in (50, 99))
        found.append(OneSecond(number, one.begun, one.failed, one.degraded, p50, p99))
    return found


def _of_second(latency_us: HdrHistogram, percent: float) -> float | None:
    return latency_us.get_value_at_percentile(percent) / 1000 if latency_us.get_total_count() else None


def _curve(tally: Tally) -> list[tuple[float, float]]:
    """From the median towards the slowest of all requests, ten points for each nine; failures lie beyond."""
    valid_us, begun = _valid_us(tally), tally.counts.begun
    shares = [1 - 0.5 * 10 ** (-step / 10) for step in range(61)]
    points = [(share, percentile_ms(valid_us, 100 * share, begun)) for share in shares if begun * (1 - share) >= 1]
    return [(share, ms) for share, ms in points if ms is not None]
