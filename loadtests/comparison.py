"""Artifacts side by side under load: what a point of quality costs in machines and money."""

from collections.abc import Callable, Mapping

import msgspec

from loadtests.capacity import Ask, Capacity, Probe, Search
from loadtests.sizing import Sizing


class Compared(msgspec.Struct, frozen=True):
    """`quality` with its 95 % interval, as measured offline; None where it was not. `capacity`: of one replica."""

    name: str
    version: str
    metric: str
    quality: float | None
    interval: tuple[float, float] | None
    capacity: Capacity
    sizing: Sizing | None


def interleave(searches: Mapping[str, Search], run: Callable[[str, Ask], Probe]) -> dict[str, Capacity]:
    """Drive all searches, one run of each in turn, so that a machine that changes meanwhile changes for all."""
    found: dict[str, Capacity] = {}
    asks = {name: next(search) for name, search in searches.items()}
    while asks:
        for name in list(asks):
            probe = run(name, asks[name])
            try:
                asks[name] = searches[name].send(probe)
            except StopIteration as end:
                found[name] = end.value
                del asks[name]
    return {name: found[name] for name in searches}
