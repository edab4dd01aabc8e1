import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

import pytest

from contracts.reasons import Reason
from service import telemetry
from service.breaker import PROBE_SECONDS, Breaker
from service.feature_cache import Reading

DOWN, TIMEOUT, EMPTY = Reason.FEATURE_CACHE_DOWN, Reason.FEATURE_CACHE_TIMEOUT, Reason.FEATURE_CACHE_EMPTY


class Scripted:
    """A feature cache that reads what `next` says; `reads` and `looks` count how often it was asked."""

    def __init__(self, *next_readings: Reading) -> None:
        self.next = list(next_readings)
        self.state: Reason | None = None
        self.reads = self.looks = 0
        self.is_broken = False

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        self.reads += 1
        return [self.next.pop(0) if self.next else self.state] * len(user_ids)

    async def fault(self) -> Reason | None:
        self.looks += 1
        if self.is_broken:
            raise RuntimeError("a bug")
        return self.state

    async def close(self) -> None:
        pass


def watched(cache: Scripted, scenario: Callable[[Breaker], Awaitable]) -> object:
    async def lifetime() -> object:
        breaker = Breaker(cache)
        watcher = asyncio.create_task(breaker.watch())
        try:
            return await scenario(breaker)
        finally:
            watcher.cancel()

    return asyncio.run(asyncio.wait_for(lifetime(), 20))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.breaker.PROBE_SECONDS", (0.001, 0.002))


async def read(breaker: Breaker) -> Reading:
    first, second = await breaker.read(["a", "b"])
    assert first is second
    return first


async def until_closed(breaker: Breaker) -> None:
    while breaker.is_open:
        await asyncio.sleep(0.001)


def shown() -> float:
    (value,) = re.findall(r"^flyweight_feature_cache_open (\S+)", telemetry.exposition().decode(), re.MULTILINE)
    return float(value)


def test_refused_connection_opens_at_once_and_nothing_is_read_until_it_is_back() -> None:
    cache = Scripted(DOWN)
    cache.state = DOWN

    async def scenario(breaker: Breaker) -> None:
        assert [await read(breaker) for _ in range(100)] == [DOWN] * 100
        assert (breaker.is_open, cache.reads, shown()) == (True, 1, 1.0)
        cache.state = None
        await until_closed(breaker)
        assert (await read(breaker), cache.reads, shown()) == (None, 2, 0.0)

    watched(cache, scenario)


def test_one_time_out_is_no_fault_and_two_in_a_row_are() -> None:
    cache = Scripted(TIMEOUT, None, TIMEOUT, TIMEOUT)
    cache.state = TIMEOUT

    async def scenario(breaker: Breaker) -> list:
        return [(await read(breaker), breaker.is_open) for _ in range(5)]

    assert watched(cache, scenario) == [
        (TIMEOUT, False), (None, False), (TIMEOUT, False), (TIMEOUT, True), (TIMEOUT, True)
    ]  # fmt: skip
    assert cache.reads == 4


def test_what_was_just_closed_is_opened_by_one_time_out() -> None:
    cache = Scripted(DOWN, TIMEOUT)

    async def scenario(breaker: Breaker) -> bool:
        await read(breaker)
        await until_closed(breaker)
        await read(breaker)
        return breaker.is_open

    assert watched(cache, scenario)


def test_cache_that_answers_that_it_is_empty_is_asked_on() -> None:
    cache = Scripted()
    cache.state = EMPTY

    async def scenario(breaker: Breaker) -> list:
        return [await read(breaker) for _ in range(3)] + [breaker.is_open]

    assert watched(cache, scenario) == [EMPTY] * 3 + [False]
    assert cache.reads == 3


def test_refused_for_some_users_only_is_not_away() -> None:
    class Half(Scripted):
        async def read(self, user_ids: Sequence[str]) -> list[Reading]:
            return [DOWN, None]

    async def scenario(breaker: Breaker) -> bool:
        await breaker.read(["a", "b"])
        return breaker.is_open

    assert not watched(Half(), scenario)


def test_fault_is_told_without_asking_while_open_and_opens_when_it_is_found_first() -> None:
    cache = Scripted()
    cache.state = DOWN

    async def scenario(breaker: Breaker) -> list:
        return [await breaker.fault(), breaker.is_open, cache.looks, await breaker.fault(), cache.looks]

    assert watched(cache, scenario) == [DOWN, True, 1, DOWN, 1]


def test_fault_that_changes_is_told_as_it_is_now() -> None:
    cache = Scripted(TIMEOUT, TIMEOUT)
    cache.state = DOWN

    async def scenario(breaker: Breaker) -> None:
        while await read(breaker) is not DOWN:
            await asyncio.sleep(0.001)

    watched(cache, scenario)


def test_bug_in_a_look_does_not_end_the_watch() -> None:
    cache = Scripted(DOWN)

    async def scenario(breaker: Breaker) -> None:
        cache.is_broken = True
        await read(breaker)
        while cache.looks < 3:
            await asyncio.sleep(0.001)
        cache.is_broken = False
        await until_closed(breaker)

    watched(cache, scenario)


def test_two_looks_are_less_than_half_a_second_apart_and_never_hurried() -> None:
    shortest, longest = PROBE_SECONDS
    assert shortest >= 0.1
    assert longest + 0.05 < 0.5
    assert longest >= 2 * shortest  # workers that lost Redis together do not come back together
