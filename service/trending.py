"""What is popular right now: items counted by the minute, from the events of all workers.

    fw2:t:<window>   a sorted set: item number -> total weight of its events in a twelfth of `trending-minutes`

Each worker adds up what it accepted and writes it every few seconds, in the same round trip in which it reads what
all have written; an item counts the less the older its window is. Counts are lost with a worker that is killed in
between: they decide an order, nothing else.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from time import time

import numpy as np
from redis.exceptions import RedisError

from service.redis_clients import AsyncClient

_WINDOWS = 12
_LONGEST = 500
"""Items read of each window, and kept: the longest answer there is."""
_PAUSE_SECONDS = (3.0, 5.0)
"""Between two looks; at random, so that workers do not look at the same time."""
_LOG = logging.getLogger(__name__)


class Trending:
    """`numbers`: item numbers, most popular first; empty while less than `least` weight was counted."""

    def __init__(
        self, client: AsyncClient, *, minutes: int, least: float, clock: Callable[[], float] = time
    ) -> None:
        self._client = client
        self._window_seconds = minutes * 60 // _WINDOWS
        self._least = least
        self._clock = clock
        self._counted: Counter[tuple[int, int]] = Counter()
        self.numbers = np.empty(0, dtype=np.uint32)

    def count(self, number: int, weight: float) -> None:
        if weight:
            self._counted[self._window(), number] += weight

    async def follow(self) -> None:
        """Write and read for ever. A Redis that is away stops nothing: the last order stays."""
        while True:
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
            try:
                await self.exchange()
            except (RedisError, OSError, TimeoutError) as error:
                _LOG.debug("what is trending could not be read: %s", error)

    async def exchange(self) -> None:
        """Write what was counted, read what all have counted. What could not be written is written next time."""
        counted, self._counted = self._counted, Counter()
        try:
            windows = await self._write_and_read(counted)
        except BaseException:
            self._counted.update(counted)
            raise
        self.numbers = self._ranked(windows)

    async def _write_and_read(self, counted: Counter[tuple[int, int]]) -> list[list[tuple[bytes, float]]]:
        pipeline = self._client.pipeline(transaction=False)
        for (window, number), weight in counted.items():
            pipeline.zincrby(_key(window), weight, number)
        for window in {window for window, _ in counted}:
            pipeline.expire(_key(window), 2 * _WINDOWS * self._window_seconds)
        newest = self._window()
        for back in range(_WINDOWS):
            pipeline.zrange(_key(newest - back), 0, _LONGEST - 1, desc=True, withscores=True)
        return (await pipeline.execute())[-_WINDOWS:]

    def _ranked(self, windows: list[list[tuple[bytes, float]]]) -> np.ndarray:
        """By total weight, a window counting the less the older it is; ties by number."""
        totals: Counter[int] = Counter()
        for back, window in enumerate(windows):
            for number, weight in window:
                totals[int(number)] += weight * (_WINDOWS - back) / _WINDOWS
        if sum(weight for window in windows for _, weight in window) < self._least:
            return np.empty(0, dtype=np.uint32)
        best = sorted(totals, key=lambda number: (-totals[number], number))[:_LONGEST]
        return np.array(best, dtype=np.uint32)

    def _window(self) -> int:
        return int(self._clock()) // self._window_seconds


def _key(window: int) -> str:
    return f"fw2:t:{window}"
