"""Ends the waits that take too long, for all requests of a worker at once.

A timer of its own would cost a request as much as parsing it. All waits of one kind may take equally long, so
the one that began first is over first: a look at the oldest, now and then, does for all of them.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")

_LOOKS = 20
"""A wait is ended at most this part of its limit too late."""


class Overdue(Exception):
    """A wait took longer than its limit."""


class Deadline:
    """A limit of `seconds` for each of any number of waits, one at a time per task; kept while `watch` runs."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began: dict[asyncio.Task, float] = {}  # in the order of time
        self._ended: set[asyncio.Task] = set()

    async def wait(self, result: Awaitable[Result]) -> Result:
        """What `result` gives. Raises `Overdue` when that takes longer than the limit."""
        task = asyncio.current_task()
        self._began[task] = task.get_loop().time()
        try:
            return await result
        except asyncio.CancelledError:
            if task in self._ended and task.uncancel() == 0:
                raise Overdue from None
            raise
        finally:
            del self._began[task]
            self._ended.discard(task)

    async def watch(self) -> None:
        """End what is overdue, for ever."""
        while True:
            await asyncio.sleep(self.seconds / _LOOKS)
            self._end_overdue(asyncio.get_running_loop().time() - self.seconds)

    def _end_overdue(self, latest: float) -> None:
        for task, began in self._began.items():
            if began > latest:
                break
            if task not in self._ended:
                self._ended.add(task)
                task.cancel()
