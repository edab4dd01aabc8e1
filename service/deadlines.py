"""Ends waits that take too long: `Deadline` for all requests of a worker at once, `Limit` for a single one.

A timer of its own would cost a request as much as parsing it. All waits of one kind may take equally long, so
the one that began first is over first: a look at the oldest, now and then, does for all of them.
"""

import asyncio
from collections.abc import Awaitable, Collection
from time import monotonic
from typing import Protocol, TypeVar

Result = TypeVar("Result")

_LOOKS = 20
"""A wait is ended at most this part of its limit too late."""
_CANCEL_AGAIN_SECONDS = 0.1


class Overdue(Exception):
    """A wait took longer than its limit."""


class Waiting(Protocol):
    """What can be ended; a task is one."""

    def cancel(self) -> object: ...


class Deadline:
    """A limit of `seconds` for each of any number of waits, one at a time per task; kept while `watch` runs."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began: dict[Waiting, float] = {}  # in the order of time
        self._ended: set[Waiting] = set()

    def begin(self, waiting: Waiting) -> None:
        """From now on the limit counts: `waiting` is cancelled once it is over, unless it ended before."""
        self._began[waiting] = monotonic()

    def end(self, waiting: Waiting) -> None:
        del self._began[waiting]
        self._ended.discard(waiting)

    async def wait(self, result: Awaitable[Result]) -> Result:
        """What `result` gives. Raises `Overdue` when that takes longer than the limit."""
        task = asyncio.current_task()
        self.begin(task)
        try:
            return await result
        except asyncio.CancelledError:
            if task in self._ended and task.uncancel() == 0:
                raise Overdue from None
            raise
        finally:
            self.end(task)

    async def watch(self) -> None:
        """End what is overdue, for ever."""
        while True:
            await asyncio.sleep(self.seconds / _LOOKS)
            self._end_overdue(monotonic() - self.seconds)

    def _end_overdue(self, latest: float) -> None:
        for waiting, began in list(self._began.items()):
            if began > latest:
                break
            if waiting not in self._ended:
                self._ended.add(waiting)
                waiting.cancel()


_POLL_SECONDS = 0.001
"""uvloop runs a timer sooner than this at once, and timers that are due before it looks what has come."""


class Limit:
    """`asyncio.timeout` that forgives a halt of this process: what it waited for may have come meanwhile and lie
    there unread. So the wait goes on for as long as the timer was late, at most for `seconds` again and at least
    until the loop has looked what has come. Leaving the block after that raises `TimeoutError`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        self._loop, self._due = asyncio.get_running_loop(), monotonic() + self._seconds
        self._timer = self._loop.call_later(self._seconds, self._forgive)
        await self._timeout.__aenter__()

    async def __aexit__(self, *raised: object) -> bool | None:
        self._timer.cancel()
        return await self._timeout.__aexit__(*raised)

    def _forgive(self) -> None:
        late = min(monotonic() - self._due, self._seconds)
        self._timer = self._loop.call_later(max(late, _POLL_SECONDS), self._end)

    def _end(self) -> None:
        """Behind everybody who was woken by what has come."""
        self._timeout.reschedule(self._loop.time())


async def end_tasks(tasks: Collection[asyncio.Task]) -> None:
    """Cancel them until they have ended: redis-py at times turns that into a timeout, which a task may outlive."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_SECONDS)
