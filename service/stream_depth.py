"""How much waits in the streams for `flyweight ingest`, and since when, for the metrics.

What an ingest took it removes, so all that a stream holds still waits, and its oldest entry says for how long: ids
begin with Redis' time in milliseconds. `events` are the streams of all partitions together, `served` is one.
Every worker looks; of all their answers the newest is shown. Whoever gets none in time says NaN: unknown, not old.
"""

import asyncio
import logging
import math
import random
from collections.abc import Callable, Sequence
from time import time

from redis.exceptions import RedisError

from contracts.events import PARTITIONS, SERVED_KEY, events_key
from service import telemetry
from service.redis_clients import AsyncClient

_PAUSE_SECONDS = (4.0, 6.0)
_TIMEOUT_SECONDS = 2.0
_AT_ONCE = 16
"""Streams in one round trip: what comes back for more would hold the event loop for milliseconds."""
_STREAMS = {"events": tuple(map(events_key, range(PARTITIONS))), "served": (SERVED_KEY,)}
_LOG = logging.getLogger(__name__)


class StreamDepth:
    """`clock`: seconds since 1970; a Redis whose clock goes otherwise shifts the lag by the difference."""

    def __init__(self, client: AsyncClient, *, clock: Callable[[], float] = time) -> None:
        self._client = client
        self._clock = clock

    async def follow(self) -> None:
        """Look for ever, whatever happens: a figure that nobody renews would be believed."""
        while True:
            await self.look()
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))

    async def look(self) -> None:
        for stream, keys in _STREAMS.items():
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    depth = await self._depth(keys)
            except (RedisError, OSError, TimeoutError) as error:
                _LOG.debug("how much waits in the streams could not be read: %s", error)
                depth = math.nan, math.nan
            except Exception:
                _LOG.exception("looking at the streams failed")
                depth = math.nan, math.nan
            telemetry.show_stream(stream, *depth)

    async def _depth(self, keys: Sequence[str]) -> tuple[int, float]:
        """Entries, and the age of the oldest in seconds."""
        length, oldest = 0, math.inf
        for begin in range(0, len(keys), _AT_ONCE):
            pipeline = self._client.pipeline(transaction=False)
            for key in keys[begin : begin + _AT_ONCE]:
                pipeline.xlen(key)
                pipeline.xrange(key, count=1)
            found = await pipeline.execute()
            length += sum(found[::2])
            oldest = min([oldest, *(int(first[0][0].partition(b"-")[0]) for first in found[1::2] if first)])
        return length, max(0.0, self._clock() - oldest / 1000) if length else 0.0
