"""Artifacts rated under load, one or several side by side: what a point of quality costs in machines and money."""

from collections.abc import Callable, Mapping

import msgspec

from loadtests.capacity import Ask, Capacity, Search, Trial
from loadtests.sizing import Sizing
from loadtests.verdict import Setup


class Rated(msgspec.Struct, frozen=True):
    """An artifact and the capacity of one replica of it.

    `quality` with its 95 % interval, as measured offline; None where it was not.
    """

    name: str
    version: str
    metric: str
    quality: float | None
    interval: tuple[float, float] | None
    capacity: Capacity
    sizing: Sizing | None


class Rating(msgspec.Struct, frozen=True):
    """All that were rated, and how: `objectives` as in [slo], `cores` of the machine that service and generator
    share, and from the last run what was asked, what the service said of itself, and with what it was asked.
    """

    objectives: list[str]
    cores: int
    rated: list[Rated]
    setup: Setup
    service: dict[str, object]
    generator: dict[str, object]
    schema_version: int = 1

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def interleave(searches: Mapping[str, Search], run: Callable[[str, Ask], Trial]) -> dict[str, Capacity]:
    """Drive all searches, one run of each in turn, so that a machine that changes meanwhile changes for all."""
    found: dict[str, Capacity] = {}
    asks = {name: next(search) for name, search in searches.items()}
    while asks:
        for name in list(asks):
            trial = run(name, asks[name])
            try:
                asks[name] = searches[name].send(trial)
            except StopIteration as end:
                found[name] = end.value
                del asks[name]
    return {name: found[name] for name in searches}
