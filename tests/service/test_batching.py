import asyncio
import random

import pytest

from service.batching import Batcher
from service.errors import InternalError, Overloaded, Stopping


class Doubler:
    """Doubles numbers, slowly enough for others to arrive; fails a batch that holds `poison`."""

    def __init__(self, poison: int | None = None, ticks: int = 3) -> None:
        self.batches: list[list[int]] = []
        self._poison = poison
        self._ticks = ticks

    async def double(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        for _ in range(self._ticks):
            await asyncio.sleep(0)
        if self._poison in numbers:
            raise RuntimeError("poisoned")
        return [2 * number for number in numbers]


def run(doubler: Doubler, scenario, *, max_batch: int = 4, max_in_flight: int = 1000):
    async def lifetime():
        batcher = Batcher(doubler.double, max_batch=max_batch, max_in_flight=max_in_flight)
        batcher.start()
        try:
            return await scenario(batcher)
        finally:
            await batcher.stop()

    return asyncio.run(asyncio.wait_for(lifetime(), 20))


def test_what_is_asked_in_one_tick_is_one_batch() -> None:
    doubler = Doubler()
    replies = run(doubler, lambda batcher: asyncio.gather(*map(batcher.ask, range(4))))
    assert replies == [0, 2, 4, 6]
    assert doubler.batches == [[0, 1, 2, 3]]


def test_a_batch_is_never_larger_than_allowed() -> None:
    doubler = Doubler()
    run(doubler, lambda batcher: asyncio.gather(*map(batcher.ask, range(10))))
    assert doubler.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_what_arrives_while_a_batch_is_under_way_is_the_next_one() -> None:
    doubler = Doubler(ticks=10)

    async def scenario(batcher: Batcher) -> list[int]:
        first = asyncio.create_task(batcher.ask(1))
        while not doubler.batches:
            await asyncio.sleep(0)
        return [*await asyncio.gather(batcher.ask(2), batcher.ask(3)), await first]

    assert run(doubler, scenario) == [4, 6, 2]
    assert doubler.batches == [[1], [2, 3]]


@pytest.mark.parametrize("seed", range(5))
def test_everyone_gets_their_own_reply_whatever_the_order_of_arrival(seed: int) -> None:
    dice = random.Random(seed)

    async def visit(batcher: Batcher, number: int) -> bool:
        for _ in range(dice.randrange(20)):
            await asyncio.sleep(0)
        return await batcher.ask(number) == 2 * number

    async def scenario(batcher: Batcher) -> list[bool]:
        return await asyncio.gather(*(visit(batcher, number) for number in range(500)))

    assert all(run(Doubler(), scenario))


def test_failure_stays_within_its_batch() -> None:
    async def scenario(batcher: Batcher) -> list:
        return await asyncio.gather(*map(batcher.ask, range(8)), return_exceptions=True)

    replies = run(Doubler(poison=2), scenario)
    assert [type(reply) for reply in replies[:4]] == [InternalError] * 4
    assert replies[4:] == [8, 10, 12, 14]


def test_client_that_goes_away_holds_up_nobody() -> None:
    async def scenario(batcher: Batcher) -> int:
        gone = asyncio.create_task(batcher.ask(1))
        await asyncio.sleep(0)
        gone.cancel()
        return await batcher.ask(2)

    assert run(Doubler(), scenario) == 4


def test_one_too_many_is_refused_at_once_and_room_comes_back() -> None:
    async def visit(batcher: Batcher, number: int) -> int:
        batcher.enter()
        try:
            return await batcher.ask(number)
        finally:
            batcher.leave()

    async def scenario(batcher: Batcher) -> tuple[list, int]:
        crowd = asyncio.gather(*(visit(batcher, n) for n in range(3)), return_exceptions=True)
        await asyncio.sleep(0)
        assert batcher.is_busy()
        assert [type(found) for found in await crowd] == [int, int, Overloaded]
        assert not batcher.is_busy()
        return await crowd, await visit(batcher, 9)

    crowd, later = run(Doubler(), scenario, max_in_flight=2)
    assert crowd[:2] == [0, 2]
    assert isinstance(crowd[2], Overloaded)
    assert later == 18


def test_whoever_waits_when_it_stops_is_told() -> None:
    async def scenario(batcher: Batcher) -> list:
        waiting = [asyncio.create_task(batcher.ask(number)) for number in range(6)]
        await asyncio.sleep(0.01)
        await batcher.stop()
        waiting.append(asyncio.create_task(batcher.ask(6)))
        return await asyncio.gather(*waiting, return_exceptions=True)

    replies = run(Doubler(ticks=10**9), scenario)
    assert [type(reply) for reply in replies] == [Stopping] * 7


def test_nobody_is_admitted_once_it_has_stopped() -> None:
    async def scenario(batcher: Batcher) -> None:
        await batcher.stop()
        with pytest.raises(Stopping):
            batcher.enter()

    run(Doubler(), scenario)
