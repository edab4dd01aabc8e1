"""What a worker says of overload: one line when it begins to refuse, one when it has stopped.

In a crowd most answers are refusals, so there is no line for each; metrics count them.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

_QUIET_SECONDS = 5.0
"""Without a refusal, until an episode is over."""

_LOOK_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Overload:
    """Told of every 429; `watch` runs with the worker."""

    def __init__(
        self,
        *,
        quiet_seconds: float = _QUIET_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._quiet_seconds = quiet_seconds
        self._look_seconds = look_seconds
        self._clock = clock
        self._began = self._last = 0.0
        self._refused = 0

    def note(self, route: str, request_id: str) -> None:
        """A request was answered 429."""
        self._last = self._clock()
        if not self._refused:
            self._began = self._last
            told = {"request_id": request_id}
            _LOG.warning("overload begins: requests for %s are refused with 429", route, extra=told)
        self._refused += 1

    async def watch(self) -> None:
        """Say when an episode is over, for ever."""
        while True:
            await asyncio.sleep(self._look_seconds)
            if self._refused and self._clock() - self._last > self._quiet_seconds:
                self.end()

    def end(self) -> None:
        """Close the episode, where one is open."""
        if self._refused:
            refused, seconds = self._refused, self._last - self._began
            self._refused = 0
            _LOG.warning("overload is over: %d requests were refused in %.1f s", refused, seconds)
