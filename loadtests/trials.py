"""The runs that a search for the capacity asks for, one after the other, with what they cost the service."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import msgspec

from contracts.sections import Settings
from loadtests.capacity import Ask, Capacity, Probe, Search, probe_of
from loadtests.comparison import interleave
from loadtests.live import Now
from loadtests.processes import cpu_seconds, service_processes
from loadtests.run import Order, run
from loadtests.validity import samples_needed
from loadtests.verdict import Verdict

_SPARE = 1.2
"""More requests than the percentiles of the SLO need at least, for arrivals vary."""


@dataclass(frozen=True)
class Told:
    """A run that ended; `name`: of whose search it was."""

    name: str
    probe: Probe
    verdict: Verdict
    count: int


def find_capacities(
    searches: Mapping[str, Search],
    orders: Mapping[str, Order],
    settings: Settings,
    tell: Callable[[Told], None],
    watch: Callable[[Now], None] = lambda now: None,
) -> dict[str, Capacity]:
    """Run what the searches ask for, in turn; `tell` hears of every run, `watch` how it goes.

    Raises what `loadtests.run.run` does.
    """
    count = 0
    with tempfile.TemporaryDirectory(prefix="capacity-") as scratch:

        def play(name: str, ask: Ask) -> Probe:
            nonlocal count
            count += 1
            order = orders[name]
            processes = service_processes(order.url)
            before = cpu_seconds(processes)
            verdict = run(order, at_rate(settings, ask.rate), Path(scratch, "run"), watch)
            cpu = cpu_seconds(processes) - before if processes else None
            probe = probe_of(verdict, ask.rate, cpu, confirms=ask.confirms)
            tell(Told(name, probe, verdict, count))
            return probe

        return interleave(searches, play)


def at_rate(settings: Settings, rate: float) -> Settings:
    """`settings` with this rate, and long enough for the percentiles of the SLO."""
    percents = [o.percent for o in settings.slo.objectives("server") if o.percent is not None]
    needed = ceil(_SPARE * max(map(samples_needed, percents), default=0) / rate)
    seconds = max(settings.loadtest.duration_seconds, needed)
    loadtest = msgspec.structs.replace(settings.loadtest, rate=rate, duration_seconds=seconds)
    return msgspec.structs.replace(settings, loadtest=loadtest)
