"""Batches without a timer: what is asked in one tick of the event loop, or while a batch is under way,
is the next batch. A single request waits for nothing; under load batches grow by themselves.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from service.between import Between, Work
from service.deadlines import end_tasks
from service.errors import InternalError, Overloaded, Stopping
from service.pace import Pace

_LOG = logging.getLogger(__name__)

_TURNS = 4
"""Of the event loop, between the socket and the batcher: one in the lane, so many over BentoML's middlewares."""

Question = TypeVar("Question")
Reply = TypeVar("Reply")
Given = TypeVar("Given", contravariant=True)


class Asker(Protocol[Given]):
    """Who gets a reply, or the error instead; an `asyncio.Future` is one. `done()`: it wants neither any more.

    It raises nothing, for others wait in the same batch.
    """

    def done(self) -> bool: ...

    def set_result(self, reply: Given) -> None: ...

    def set_exception(self, error: Exception) -> None: ...


class Batcher(Generic[Question, Reply]):
    """Answers questions through `answer_batch`, which gives as many replies as it gets questions, in order.

    Where a question knows its asker, `answer_batch` may answer that one before; its place in the replies is not
    looked at. `pace` is told what batches take, and says how large they may be and when one more would be late.
    Started in the application's lifespan: a lazy start would race with the first requests.
    """

    def __init__(
        self,
        answer_batch: Callable[[list[Question]], Awaitable[list[Reply]]],
        *,
        max_batch: int,
        max_in_flight: int,
        pace: Pace | None = None,
        between: Between | None = None,
        note_batch: Callable[[int, float, float], None] | None = None,
    ) -> None:
        """`note_batch` is told of each batch, once its replies are sent: how many requests it had, how long the
        oldest waited for it, and what handing over the replies took (seconds)."""
        self._pace = pace or Pace()
        self._between = between or Between()
        self._note_batch = note_batch
        self._answer_batch = answer_batch
        self._max_batch = max_batch
        self._max_in_flight = max_in_flight
        self._waiting: deque[tuple[Question, Asker[Reply], float]] = deque()
        self._arrived = asyncio.Event()
        self._in_flight = 0
        self._under_way = 0
        self._task: asyncio.Task | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="batcher")

    async def stop(self) -> None:
        """Stop working; whoever still waits is told so."""
        task, self._task = self._task, None
        if task is not None:
            await end_tasks([task])
        while self._waiting:
            _fail(self._waiting.popleft()[1], Stopping("the service is stopping; ask again in a moment"))
        self._between.fail(Stopping("the service is stopping; ask again in a moment"))

    def enter(self) -> None:
        """Count one who is about to ask, until it leaves. Raises `Overloaded` when too many are in already."""
        self._refuse_when_stopped()
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(
                f"{self._in_flight} requests are in this worker, the limit is {self._max_in_flight}; "
                "ask again in a second"
            )
        self.refuse_when_late()
        self._in_flight += 1

    def refuse_when_late(self) -> None:
        """Raise `Overloaded` when those who asked already take so long that one more would be late."""
        asked = self._asked()
        if asked >= self._pace.max_asked:
            raise Overloaded(
                f"{asked:.0f} requests wait in this worker, and one more could not be answered in time; "
                "ask again in a second"
            )

    def seconds_ahead(self) -> float:
        """How long those who asked already take, and one more."""
        return self._pace.work_seconds(self._asked() + 1)

    def _asked(self) -> float:
        """Those who asked, and in the same measure what is done between their batches: one slice for each."""
        asked = len(self._waiting) + self._under_way
        if rows := self._between.rows:
            asked += min(rows, asked + self._pace.max_batch) * self._between.weight(self._pace)
        return asked

    def leave(self) -> None:
        self._in_flight -= 1

    def is_busy(self) -> bool:
        return self._in_flight > 0

    async def ask(self, question: Question) -> Reply:
        """Wait for the reply. Whoever asks for a client has entered before its body was read."""
        future = asyncio.get_running_loop().create_future()
        self.submit(question, future, perf_counter())
        return await future

    def submit(self, question: Question, asker: Asker[Reply], now: float) -> None:
        """The reply goes to `asker`, unless that is done before. `now`: of `perf_counter`. Raises `Stopping` once
        the batcher is stopped."""
        self._refuse_when_stopped()
        self._waiting.append((question, asker, now))
        self._arrived.set()

    async def run_between(self, work: Work, rows: int) -> list:
        """What `work` makes of each slice of so many rows, in order, done between batches; see `service.between`.

        Raises `Overloaded` when too much is ahead, what `work` raises, or `Stopping`.
        """
        self._refuse_when_stopped()
        self._between.refuse_when_late()
        reply = self._between.add(work, rows)
        self._arrived.set()
        return await reply

    def _refuse_when_stopped(self) -> None:
        if self._task is None:
            raise Stopping("the service is stopping; ask again in a moment")

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if self._between.rows:
                self._between.do_slice(min(self._max_batch, self._pace.max_batch))
                await let_others_run()
            started = perf_counter()
            size = min(len(self._waiting), self._max_batch, self._pace.max_batch)
            taken = [self._waiting.popleft() for _ in range(size)]
            if not (self._waiting or self._between.rows):
                self._arrived.clear()
            batch = [(question, asker) for question, asker, _ in taken if not asker.done()]
            if batch:
                self._under_way = len(batch)
                answering = await self._answer(batch)
                self._under_way = 0
                if self._note_batch is not None:
                    self._note_batch(len(batch), started - taken[0][2], answering)
                if self._waiting:
                    await let_others_run()  # also in: who came meanwhile waits where nobody counts them
                self._pace.note_batch(len(batch), perf_counter() - started)

    async def _answer(self, batch: list[tuple[Question, Asker[Reply]]]) -> float:
        """Every asker gets exactly one reply or error; a failure stays within its batch. Returns what handing over
        the replies took."""
        began = math.inf
        try:
            replies = await self._answer_batch([question for question, _ in batch])
            began = perf_counter()
            for (_, asker), reply in zip(batch, replies, strict=True):
                if not asker.done():  # done: the client went away
                    asker.set_result(reply)
        except asyncio.CancelledError:
            for _, asker in batch:
                _fail(asker, Stopping("the service is stopping; ask again in a moment"))
            raise
        except Exception:
            told = {"request_id": first_request(asker for _, asker in batch)}
            _LOG.exception("a batch of %d requests failed", len(batch), extra=told)
            for _, asker in batch:
                _fail(asker, InternalError())
        return max(0.0, perf_counter() - began)


def first_request(askers: Iterable[object]) -> str | None:
    """The id of one of a batch, for a line in the log about all of it."""
    return next((found for asker in askers if (found := getattr(asker, "request_id", None))), None)


async def let_others_run() -> None:
    """Let replies leave and requests come in before the model takes the event loop for itself."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _fail(asker: Asker, error: Exception) -> None:
    if not asker.done():
        asker.set_exception(error)
