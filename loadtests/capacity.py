"""The highest rate of Poisson arrivals that keeps the SLO, found by trying.

Up in steps of two until the SLO is missed (or down until it is kept), then between the two until they are 5 %
apart; then the rate found and two somewhat lower ones are tried again, in random order, so that a machine that
gets slower or faster meanwhile does not decide. What kept the SLO in most of these runs is the capacity.
A run that no other rate would make valid ends the search: there is nothing to find.
"""

import random
from collections import defaultdict
from collections.abc import Generator, Sequence
from math import sqrt
from statistics import median_high

import msgspec

from loadtests.verdict import Outcome, Verdict

PRECISION = 1.05
"""The search ends when the lowest rate that missed is at most so many times the highest that was met."""
CONFIRMATIONS = 3
_CONFIRMING_ROUNDS = 3
_LOWER = (1.0, 0.92, 0.85)
"""The rates that are tried again, as parts of the one that was found."""
_MOST_STEPS = 12
_LOWEST_RATE = 1.0


class Trial(msgspec.Struct, frozen=True):
    """One run. `cpu_us`: CPU time of the service's own processes per request, None where it is not known.

    `hopeless`: not valid, and no other rate would mend that.
    """

    rate: float
    outcome: Outcome
    why: str
    p50_ms: float | None
    p99_ms: float | None
    goodput: float | None
    cpu_us: float | None
    confirms: bool = False
    hopeless: bool = False

    @property
    def met(self) -> bool:
        return self.outcome == "met"


class Capacity(msgspec.Struct, frozen=True):
    """`rate`: requests per second, None when no rate was confirmed. `knee`: the highest rate at which p99 is at
    most twice what it is at the lowest. `lower_bound`: nothing above `rate` was missed, so the service may do more
    than could be sent, or was tried.
    """

    rate: float | None
    knee: float | None
    cpu_us: float | None
    lower_bound: bool
    trials: list[Trial]

    @property
    def outcome(self) -> Outcome:
        if self.rate is not None:
            return "met"
        if self.trials[-1].hopeless or all(trial.outcome == "not valid" for trial in self.trials):
            return "not valid"
        return "missed"


class Ask(msgspec.Struct, frozen=True):
    """A run that the search wants next."""

    rate: float
    confirms: bool = False


Search = Generator[Ask, Trial, Capacity]


def search(start: float, luck: random.Random) -> Search:
    """Yields the runs it wants, takes what came of them, returns the capacity."""
    trials: list[Trial] = []
    try:
        confirmed = yield from _find(start, trials, luck)
    except _Hopeless:
        confirmed = None
    spent = [p.cpu_us for p in trials if p.cpu_us is not None and confirmed and p.rate == confirmed]
    return Capacity(
        rate=confirmed,
        knee=knee_of(trials),
        cpu_us=median_high(spent) if spent else None,
        lower_bound=confirmed is not None
        and not any(p.outcome == "missed" and p.rate > confirmed for p in trials),
        trials=trials,
    )


class _Hopeless(Exception):
    """The last run was not valid, and no other rate would mend that."""


def _find(start: float, trials: list[Trial], luck: random.Random) -> Generator[Ask, Trial, float | None]:
    low, high = yield from _bracket(start, trials)
    while low and high and high / low > PRECISION:
        middle = sqrt(low * high)
        trial = yield from _try(Ask(middle), trials)
        low, high = (middle, high) if trial.met else (low, middle)
    return (yield from _confirm_or_lower(low, trials, luck)) if low else None


def _try(ask: Ask, trials: list[Trial]) -> Generator[Ask, Trial, Trial]:
    trial = yield ask
    trials.append(trial)
    if trial.hopeless:
        raise _Hopeless
    return trial


def _bracket(start: float, trials: list[Trial]) -> Generator[Ask, Trial, tuple[float | None, float | None]]:
    """The highest rate that was met and the lowest that was missed; None where there was none."""
    met: float | None = None
    missed: float | None = None
    rate = start
    for _ in range(_MOST_STEPS):
        trial = yield from _try(Ask(rate), trials)
        if trial.met:
            met = rate
        else:
            missed = rate
        if missed and (met or rate <= _LOWEST_RATE):
            break
        rate = rate * 2 if met else max(rate / 2, _LOWEST_RATE)
    return met, missed


def _confirm_or_lower(
    found: float, trials: list[Trial], luck: random.Random
) -> Generator[Ask, Trial, float | None]:
    """What was found by single runs may have been luck: as long as nothing is confirmed, lower rates are tried."""
    for _ in range(_CONFIRMING_ROUNDS):
        confirmed = yield from _confirm(found, trials, luck)
        if confirmed:
            return confirmed
        found *= _LOWER[-1] * _LOWER[1]
    return None


def _confirm(found: float, trials: list[Trial], luck: random.Random) -> Generator[Ask, Trial, float | None]:
    """The highest of some rates that was met in most of its runs, and all below it too."""
    asks = [Ask(found * part, confirms=True) for part in _LOWER for _ in range(CONFIRMATIONS)]
    luck.shuffle(asks)
    met: defaultdict[float, int] = defaultdict(int)
    for ask in asks:
        trial = yield from _try(ask, trials)
        met[ask.rate] += trial.met
    confirmed = None
    for rate in sorted({ask.rate for ask in asks}):
        if met[rate] <= CONFIRMATIONS // 2:
            break
        confirmed = rate
    return confirmed


def knee_of(trials: Sequence[Trial]) -> float | None:
    """Where the queue begins to show."""
    measured = sorted((trial.rate, trial.p99_ms) for trial in trials if trial.p99_ms is not None)
    if not measured:
        return None
    knee, least = measured[0]
    for rate, p99_ms in measured:
        if p99_ms > 2 * least:
            break
        knee = rate
    return knee


def trial_of(verdict: Verdict, rate: float, cpu_seconds: float | None, *, confirms: bool) -> Trial:
    """A service that weakens its answers so that the run is not valid could not carry the rate: that is missed."""
    figures = verdict.figures
    missed = [
        f"{o.expression} (found {'too many failed' if o.value is None else format(o.value, '.4g')})"
        for o in verdict.objectives
        if not o.met
    ]
    answered = max(verdict.counts.answered, 1)
    return Trial(
        rate=rate,
        outcome="missed" if verdict.blame == "service" else verdict.outcome,
        why="; ".join(verdict.problems or missed),
        p50_ms=figures.latency_ms.get("p50") if figures else None,
        p99_ms=figures.latency_ms.get("p99") if figures else None,
        goodput=figures.goodput if figures else None,
        cpu_us=cpu_seconds / answered * 1e6 if cpu_seconds else None,  # 0 is less than the system can tell
        confirms=confirms,
        hopeless=verdict.blame == "setup",
    )
