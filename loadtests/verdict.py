"""From a tally to a verdict: did the service keep its objectives, and may this run say so at all?

A request that failed, or got no answer, counts as slower than any bound: errors must not buy latency.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from contracts.slo import Objective
from loadtests.counts import Counts, Health
from loadtests.event_verdict import EventsVerdict
from loadtests.figures import Figures, OneSecond, by_second, curve_of, degraded_share, measure, valid_us_of
from loadtests.objectives import JudgedObjective, percentile_ms
from loadtests.tally import Tally
from loadtests.validity import Blame, find_problems, whose

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
    pictures = {"seconds": by_second(tally), "curve": curve_of(tally)}
    return Verdict(outcome, [], judged, measure(tally), tally.counts, tally.health, setup, **pictures, **more)


def _judge_objective(tally: Tally, objective: Objective) -> JudgedObjective:
    counts = tally.counts
    if objective.percent is not None:
        value = percentile_ms(valid_us_of(tally), objective.percent, counts.begun)
    elif objective.figure == "success":
        value = counts.valid / counts.begun
    elif objective.figure == "goodput":
        value = counts.good / counts.begun
    else:
        value = degraded_share(tally)
    return JudgedObjective(objective.expression, value, value is not None and objective.is_met(value))
