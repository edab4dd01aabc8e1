"""Batches without a timer: what is asked in one tick of the event loop, or while a batch is under way,
is the next batch. A single request waits for nothing; under load batches grow by themselves.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from service.errors import InternalError, Overloaded, Stopping

_LOG = logging.getLogger(__name__)

Question = TypeVar("Question")
Reply = TypeVar("Reply")


class Batcher(Generic[Question, Reply]):
    """Answers questions through `answer_batch`, which gives as many replies as it gets questions, in order.

    Started in the application's lifespan: a lazy start would race with the first requests.
    """

    def __init__(
        self,
        answer_batch: Callable[[list[Question]], Awaitable[list[Reply]]],
        *,
        max_batch: int,
        max_in_flight: int,
    ) -> None:
        self._answer_batch = answer_batch
        self._max_batch = max_batch
        self._max_in_flight = max_in_flight
        self._waiting: deque[tuple[Question, asyncio.Future[Reply]]] = deque()
        self._arrived = asyncio.Event()
        self._in_flight = 0
        self._admission = Admission(self)
        self._task: asyncio.Task | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="batcher")

    async def stop(self) -> None:
        """Stop working; whoever still waits is told so."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        while self._waiting:
            _fail(self._waiting.popleft()[1], Stopping("the service is stopping; ask again in a moment"))

    def admit(self) -> "Admission":
        """Count one who is about to ask, for as long as a `with` of what this returns lasts. Raises `Overloaded`
        at once when too many are in already."""
        self._refuse_when_stopped()
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(
                f"{self._in_flight} requests are in this worker, the limit is {self._max_in_flight}; "
                "ask again in a second"
            )
        return self._admission

    async def ask(self, question: Question) -> Reply:
        """Wait for the reply. Whoever asks for a client was admitted before its body was read."""
        self._refuse_when_stopped()
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._arrived.set()
        return await future

    def _refuse_when_stopped(self) -> None:
        if self._task is None:
            raise Stopping("the service is stopping; ask again in a moment")

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            size = min(len(self._waiting), self._max_batch)
            batch = [self._waiting.popleft() for _ in range(size)]
            if not self._waiting:
                self._arrived.clear()
            batch = [(question, future) for question, future in batch if not future.done()]
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[Question, asyncio.Future[Reply]]]) -> None:
        """Every future gets exactly one reply or error; a failure stays within its batch."""
        try:
            replies = await self._answer_batch([question for question, _ in batch])
            for (_, future), reply in zip(batch, replies, strict=True):
                if not future.done():  # done: the client went away
                    future.set_result(reply)
        except asyncio.CancelledError:
            for _, future in batch:
                _fail(future, Stopping("the service is stopping; ask again in a moment"))
            raise
        except Exception:
            _LOG.exception("a batch of %d requests failed", len(batch))
            for _, future in batch:
                _fail(future, InternalError("this request failed by a fault of the service; see its log"))


class Admission:
    """One place among those in flight; the same object for all, since it only counts."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    def __enter__(self) -> None:
        self._batcher._in_flight += 1

    def __exit__(self, *exception: object) -> None:
        self._batcher._in_flight -= 1


def _fail(future: asyncio.Future, error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
