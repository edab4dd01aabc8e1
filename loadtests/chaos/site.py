"""Where a fault happens, and what a fault is.

It begins when its block is entered and ends when it is left. It yields a dictionary for the proof that it hit:
process ids, counts, whatever can be seen from outside.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtests.chaos.proxy import Proxy
from loadtests.chaos.redis_server import RedisServer
from loadtests.chaos.standing_service import StandingService
from loadtests.chaos.world import World

Proof = dict[str, object]


@dataclass(frozen=True)
class Site:
    """Where a row is played. `log`: the folder into which `flyweight ingest` writes."""

    world: World
    redis: RedisServer
    proxy: Proxy | None
    service: StandingService
    log: Path

    @property
    def other(self) -> Path:
        """The artifact that is not promoted when the row begins."""
        return self.service.artifacts / self.world.artifacts[1]


Fault = Callable[[Site], contextlib.AbstractContextManager[Proof]]
