"""Notes of what was recommended, so that impressions and clicks can be joined to it: a bounded stream, sampled.

Beside the way of a request: an answer that is to be noted is put aside, and a second later all of them go to
Redis in one round trip. Where that fails they are dropped, and counted.
"""

import asyncio
import zlib
from time import time

import msgspec
from redis.exceptions import RedisError

from contracts.events import SERVED_FIELD, SERVED_KEY, Served
from service import telemetry
from service.recommender import Recommendation
from service.redis_clients import AsyncClient

_PAUSE_SECONDS = 1.0
_MOST_WAITING = 10_000
_POINTS = 1 << 32


class ServedNotes:
    """`percent` of the answers are noted, by their request ids: the same ids by every worker and at every time."""

    def __init__(self, client: AsyncClient, *, percent: float, kept: int) -> None:
        self._client = client
        self._below = round(percent / 100 * _POINTS)
        self._kept = kept
        self._waiting: list[Served] = []

    def note(self, request_id: str, found: Recommendation) -> None:
        """Called for every answer."""
        if zlib.crc32(request_id.encode()) >= self._below:
            return
        if len(self._waiting) >= _MOST_WAITING:
            telemetry.count_lost_notes(1)
            return
        model, items = found.serving.model, [item.item_id for item in found.items]
        variant = f"{model.name}:{model.variant}"
        self._waiting.append(Served(request_id, int(time() * 1000), variant, model.version, items))

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what waits; the stream keeps the newest `kept`, or a few more."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        pipeline = self._client.pipeline(transaction=False)
        for served in waiting:
            fields = {SERVED_FIELD: msgspec.json.encode(served)}
            pipeline.xadd(SERVED_KEY, fields, maxlen=self._kept, approximate=True)
        try:
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError):
            telemetry.count_lost_notes(len(waiting))
