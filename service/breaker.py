"""A circuit breaker before the feature cache: while Redis is away, that costs a request no more than a look.

Closed, readings go through. A connection refused opens it at once; so do two time-outs in a row, for one slow
reply is no fault. Open, every reading says at once what is wrong, and a task of the worker asks Redis by itself
until it answers: no request waits for that. What was just closed is on probation: one time-out opens it again.

Workers ask at random intervals, or a Redis that comes back would meet all of them in the same moment.
"""

import asyncio
import logging
import random
from collections.abc import Sequence

from contracts.reasons import Reason
from service import telemetry
from service.feature_cache import FeatureCache, Reading

PROBE_SECONDS = (0.1, 0.3)
"""Between two looks, from and to. The longer one and a look of 50 ms are less than half a second."""

_TIME_OUTS = 2
_AWAY = (Reason.FEATURE_CACHE_DOWN, Reason.FEATURE_CACHE_TIMEOUT)
"""Redis does not answer; one that answers that it holds nothing is not away."""

_LOG = logging.getLogger(__name__)


class Breaker:
    """A `FeatureCache` around another. Opened by what is read, closed by `watch`, which runs with the worker."""

    def __init__(self, features: FeatureCache) -> None:
        self._features = features
        self._fault: Reason | None = None
        self._time_outs = 0
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._fault is not None

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        if self._fault is not None:
            return [self._fault] * len(user_ids)
        readings = await self._features.read(user_ids)
        if readings:
            self._judge(_common_fault(readings))
        return readings

    async def fault(self) -> Reason | None:
        """What is wrong with the cache. Open: what was wrong at the last look, at once."""
        if self._fault is not None:
            return self._fault
        found = await self._features.fault()
        self._judge(found)
        return found

    async def close(self) -> None:
        telemetry.show_feature_cache(is_open=False)
        await self._features.close()

    async def watch(self) -> None:
        """Look whether the cache is back while the breaker is open, for ever."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(random.uniform(*PROBE_SECONDS))
            try:
                found = await self._features.fault()
            except Exception:  # a bug: without the watch, Redis would stay away for ever
                _LOG.exception("looking for the feature cache failed")
                continue
            if found in _AWAY:
                self._fault = found
            else:
                self._close()

    def _judge(self, fault: Reason | None) -> None:
        if fault not in _AWAY:
            self._time_outs = 0
            return
        self._time_outs += 1
        if fault is Reason.FEATURE_CACHE_DOWN or self._time_outs >= _TIME_OUTS:
            self._open(fault)

    def _open(self, fault: Reason) -> None:
        if not self.is_open:
            _LOG.warning("%s: the feature cache is left alone until it answers again", fault)
            telemetry.show_feature_cache(is_open=True)
        self._fault = fault
        self._opened.set()

    def _close(self) -> None:
        _LOG.warning("the feature cache answers again")
        telemetry.show_feature_cache(is_open=False)
        self._fault = None
        self._time_outs = _TIME_OUTS - 1
        self._opened.clear()


def _common_fault(readings: list[Reading]) -> Reason | None:
    """What hides all of them; a fault of one user's history is none of the cache's."""
    first = readings[0]
    if not isinstance(first, Reason):
        return None
    return first if all(reading is first for reading in readings) else None
