"""Who of a batch cannot wait for the model, and that their answers leave before the model begins.

A batch is answered at its end. Whoever is due before that is given the popular list first: an answer in time beats
a better one too late.
"""

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import TypeVar

from msgspec import UNSET

from service.batching import Asker
from service.pace import Pace
from service.prediction import PredictRequest

Reply = TypeVar("Reply")

Question = tuple[PredictRequest, float, Asker | None]
"""A request, when its answer is due (of `time.perf_counter`), and who gets it."""

_TURNS = 4
"""Of the event loop, until an answer has gone from its asker to the socket, over BentoML's middlewares too."""


class Lateness:
    """Judges by the pace of the last batches. Places are those in the batch."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def before_reading(self, questions: Sequence[Question]) -> set[int]:
        """Who can wait neither for the model nor, where a history must be read, for that."""
        latest = perf_counter() + self._pace.work_seconds(len(questions))
        reading = self._pace.reading_seconds
        return {
            place
            for place, (request, due, _) in enumerate(questions)
            if due < latest + reading and (due < latest or request.history is UNSET)
        }

    def after_reading(self, questions: Sequence[Question], began: float) -> set[int]:
        """Who cannot wait for the model. Reading began at `began` and is over now."""
        now = perf_counter()
        self._pace.note_reading(now - began)
        latest = now + self._pace.work_seconds(len(questions))
        return {place for place, (_, due, _) in enumerate(questions) if due < latest}

    async def send_ahead(self, answers: Iterable[tuple[Asker[Reply], Reply]]) -> None:
        """Answer, and let that leave before the model takes the event loop for itself."""
        for asker, answer in answers:
            self._pace.note_late(1)
            if not asker.done():
                asker.set_result(answer)
        for _ in range(_TURNS):
            await asyncio.sleep(0)


def without(places: set[int], each: Sequence) -> list:
    """What stands at other places."""
    return [one for place, one in enumerate(each) if place not in places]


def spread(replies: Sequence[Reply], count: int, late: set[int]) -> list[Reply | None]:
    """Replies back at their places of `count`; None for who was answered before."""
    rest = iter(replies)
    return [None if place in late else next(rest) for place in range(count)]
