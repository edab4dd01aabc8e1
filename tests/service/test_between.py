"""Work that is done between two batches, slice by slice."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from service.batching import Batcher
from service.between import Between
from service.errors import Overloaded, Stopping
from service.pace import Pace


class Journal:
    """Answers batches and works on slices; `lines` says in which order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def answer_batch(self, questions: list[str]) -> list[str]:
        await asyncio.sleep(0)  # features are read
        self.lines.append("batch " + "".join(questions))
        return questions

    def work(self, name: str) -> Callable[[int, int], tuple[int, int]]:
        def slice_of(first: int, end: int) -> tuple[int, int]:
            self.lines.append(f"{name} {first}-{end}")
            return first, end

        return slice_of


def run(journal: Journal, scenario: Callable[[Batcher], Awaitable], *, most_rows: float = math.inf):
    """With batches and slices of 4 at most. `most_rows` may wait, of requests 16, until the pace is known."""

    async def started():
        rows, requests = Pace(largest_batch=4), Pace(largest_batch=4)
        rows.max_asked = most_rows
        between = Between(rows)
        batcher = Batcher(journal.answer_batch, max_batch=4, max_in_flight=100, pace=requests, between=between)
        batcher.start()
        try:
            return await scenario(batcher)
        finally:
            await batcher.stop()

    return asyncio.run(started())


def test_rows_are_worked_on_in_slices_no_larger_than_a_batch() -> None:
    journal = Journal()
    parts = run(journal, lambda batcher: batcher.run_between(journal.work("a"), 10))
    assert parts == [(0, 4), (4, 8), (8, 10)]


def test_between_two_batches_stands_one_slice_at_most() -> None:
    journal = Journal()

    async def scenario(batcher: Batcher) -> None:
        async def ask_on() -> None:
            for question in "uvwxyz":
                await batcher.ask(question)

        await asyncio.gather(*(batcher.run_between(journal.work(n), 12) for n in "abc"), ask_on())

    run(journal, scenario)
    batches = [place for place, line in enumerate(journal.lines) if line.startswith("batch")]
    assert len(batches) == 6
    assert {later - earlier for earlier, later in pairwise(batches)} == {2}


def test_jobs_are_done_in_the_order_in_which_they_came() -> None:
    journal = Journal()

    async def scenario(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.run_between(journal.work(name), 6) for name in "ab"))

    run(journal, scenario)
    assert journal.lines == ["a 0-4", "a 4-6", "b 0-4", "b 4-6"]


def test_error_is_its_askers_alone() -> None:
    journal = Journal()

    def fail(first: int, end: int) -> None:
        raise ArithmeticError("no such model")

    async def scenario(batcher: Batcher) -> list:
        jobs = (batcher.run_between(fail, 9), batcher.run_between(journal.work("b"), 3), batcher.ask("q"))
        return await asyncio.gather(*jobs, return_exceptions=True)

    failed, done, answered = run(journal, scenario)
    assert isinstance(failed, ArithmeticError)
    assert (done, answered) == ([(0, 3)], "q")


def test_nothing_more_is_done_for_who_is_gone() -> None:
    journal = Journal()

    async def scenario(batcher: Batcher) -> None:
        gone = asyncio.create_task(batcher.run_between(journal.work("a"), 100))
        other = asyncio.create_task(batcher.run_between(journal.work("b"), 1))
        while not journal.lines:
            await asyncio.sleep(0)
        gone.cancel()
        await other
        assert batcher.seconds_ahead() == 0.0

    run(journal, scenario)
    assert journal.lines[-1] == "b 0-1"
    assert len(journal.lines) < 10


def test_who_would_have_to_wait_for_too_many_rows_is_refused() -> None:
    journal = Journal()

    async def scenario(batcher: Batcher) -> list:
        jobs = [asyncio.create_task(batcher.run_between(journal.work(name), 10)) for name in "abc"]
        return await asyncio.gather(*jobs, return_exceptions=True)

    *done, refused = run(journal, scenario, most_rows=16)
    assert done == [[(0, 4), (4, 8), (8, 10)]] * 2
    assert isinstance(refused, Overloaded)


def test_rows_count_when_others_are_admitted_and_no_more_than_they_delay_them() -> None:
    journal = Journal()

    async def scenario(batcher: Batcher) -> None:
        job = asyncio.create_task(batcher.run_between(journal.work("a"), 1000))
        while not journal.lines:
            await asyncio.sleep(0)
        batcher.refuse_when_late()  # one slice of 4 is ahead, and 16 may be
        waiting = [asyncio.create_task(batcher.ask(str(number))) for number in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="20 requests wait"):  # these 8, 8 rows before their batches, and 4
            batcher.refuse_when_late()
        await asyncio.gather(job, *waiting)
        batcher.refuse_when_late()

    run(journal, scenario)


@pytest.mark.parametrize(("row_seconds", "request_seconds", "weight"), [(0.1, 0.4, 0.25), (0.1, 0.0, 1.0)])
def test_row_counts_as_much_as_it_takes(row_seconds: float, request_seconds: float, weight: float) -> None:
    rows, requests = Pace(), Pace()
    for pace, seconds in ((rows, row_seconds), (requests, request_seconds)):
        if seconds:
            pace.note_batch(10, 10 * seconds)
    assert Between(rows).weight(requests) == pytest.approx(weight)


def test_whoever_waits_when_it_stops_is_told() -> None:
    journal = Journal()

    async def scenario(batcher: Batcher) -> list:
        jobs = [asyncio.create_task(batcher.run_between(journal.work(name), 10**6)) for name in "ab"]
        while not journal.lines:
            await asyncio.sleep(0)
        await batcher.stop()
        jobs.append(asyncio.create_task(batcher.run_between(journal.work("c"), 1)))
        return await asyncio.gather(*jobs, return_exceptions=True)

    assert [type(found) for found in run(journal, scenario)] == [Stopping] * 3


def test_slow_rows_make_small_slices() -> None:
    async def add_up(between: Between) -> list:
        reply = between.add(lambda first, end: end - first, 40)
        while not reply.done():
            between.do_slice(64)
        return reply.result()

    pace = Pace(0.04, largest_batch=8)
    for _ in range(4):
        pace.note_batch(1, 0.005)  # a quarter of 40 ms is two of these
    sizes = asyncio.run(add_up(Between(pace)))
    assert sizes[0] == 2
