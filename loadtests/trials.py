"""The runs that a search for the capacity asks for, one after the other, with what they cost the service."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import msgspec

from contracts.faults import RunNotValid
from contracts.sections import Settings
from loadtests.capacity import Ask, Capacity, Search, Trial, trial_of
from loadtests.comparison import interleave
from loadtests.live import Now
from loadtests.order import Order, answers_within
from loadtests.processes import all_alive, cpu_seconds, service_processes
from loadtests.run import run
from loadtests.validity import samples_needed
from loadtests.verdict import Verdict

_SPARE = 1.2
"""More requests than the percentiles of the SLO need at least, for arrivals vary."""


_BACK_SECONDS = 30
"""So long a service that stopped answering is waited for, once in a search."""


@dataclass(frozen=True)
class Told:
    """A run that ended; `name`: of whose search it was. `verdict`: None where the service was gone."""

    name: str
    trial: Trial
    verdict: Verdict | None
    count: int


def find_capacities(
    searches: Mapping[str, Search],
    orders: Mapping[str, Order],
    settings: Settings,
    tell: Callable[[Told], None],
    watch: Callable[[Now], None] = lambda now: None,
) -> dict[str, Capacity]:
    """Run what the searches ask for, in turn; `tell` hears of every run, `watch` how it goes.

    A service that stops answering during its search has missed the SLO at that rate. Raises what
    `loadtests.run.run` does, `RunNotValid` only where nothing has answered yet.
    """
    with tempfile.TemporaryDirectory(prefix="capacity-") as scratch:
        trials = _Trials(orders, settings, Path(scratch, "run"), tell, watch)
        return interleave(searches, trials.play)


@dataclass
class _Trials:
    orders: Mapping[str, Order]
    settings: Settings
    folder: Path
    tell: Callable[[Told], None]
    watch: Callable[[Now], None]
    count: int = 0
    answered: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def play(self, name: str, ask: Ask) -> Trial:
        self.count += 1
        processes = service_processes(self.orders[name].url)
        before = cpu_seconds(processes)
        try:
            verdict = self._run(name, ask.rate)
        except RunNotValid as gone:
            if name not in self.answered:
                raise
            trial, verdict = _missed(ask, str(gone)), None
        else:
            after = cpu_seconds(processes)
            cpu = after - before if processes and all_alive(processes) else None
            trial = self._judge(name, verdict, ask, cpu)
        self.tell(Told(name, trial, verdict, self.count))
        return trial

    def _run(self, name: str, rate: float) -> Verdict:
        order, settings = self.orders[name], at_rate(self.settings, rate)
        try:
            return run(order, settings, self.folder, self.watch)
        except RunNotValid as away:
            if name not in self.answered or name in self.gone:
                raise
            if not answers_within(order.url, _BACK_SECONDS):
                self.gone.add(name)
                raise RunNotValid(
                    f"the service stopped answering, and did not come back within {_BACK_SECONDS} s: {away}"
                ) from away
        return run(order, settings, self.folder, self.watch)

    def _judge(self, name: str, verdict: Verdict, ask: Ask, cpu: float | None) -> Trial:
        if name in self.answered and not verdict.counts.answered:
            return _missed(ask, f"the service stopped answering: {'; '.join(verdict.problems)}")
        if verdict.counts.answered:
            self.answered.add(name)
        return trial_of(verdict, ask.rate, cpu, confirms=ask.confirms)


def _missed(ask: Ask, why: str) -> Trial:
    return Trial(ask.rate, "missed", why, None, None, None, None, ask.confirms)


def at_rate(settings: Settings, rate: float) -> Settings:
    """`settings` with this rate, and long enough for the percentiles of the SLO."""
    percents = [o.percent for o in settings.slo.objectives("server") if o.percent is not None]
    needed = ceil(_SPARE * max(map(samples_needed, percents), default=0) / rate)
    seconds = max(settings.loadtest.duration_seconds, needed)
    loadtest = msgspec.structs.replace(settings.loadtest, rate=rate, duration_seconds=seconds)
    return msgspec.structs.replace(settings, loadtest=loadtest)
