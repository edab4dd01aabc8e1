"""One behaviour suite for every feature cache, and what only a real Redis can do: be away."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uvloop

from contracts.reasons import Reason
from contracts.sections import Features
from service.embedded_redis import embedded_redis
from service.feature_cache import (
    FeatureCache,
    InMemoryFeatureCache,
    RedisFeatureCache,
    key_of,
    open_feature_cache,
)
from service.filling import write_histories
from service.redis_clients import connect
from tests.service.in_process import as_histories

Histories = dict[str, np.ndarray]


def in_memory(histories: Histories | None, url: str) -> FeatureCache:
    return InMemoryFeatureCache(histories)


def in_redis(histories: Histories | None, url: str) -> FeatureCache:
    with connect(url) as redis:
        redis.flushall()
        if histories is not None:
            write_histories(redis, as_histories(histories), longest=100, ttl_seconds=60)
    return RedisFeatureCache(url, timeout_ms=2000)


def in_cluster(histories: Histories | None, url: str) -> FeatureCache:
    with connect(url, cluster=True) as redis:
        redis.flushall()
        if histories is not None:
            write_histories(redis, as_histories(histories), longest=100, ttl_seconds=60)
    return open_feature_cache(url, Features(cluster=True, timeout_ms=2000))


@pytest.fixture(params=[in_memory, in_redis, in_cluster])
def filled_with(
    request: pytest.FixtureRequest, redis_url: str, cluster_url: str
) -> Callable[[Histories | None], FeatureCache]:
    url = cluster_url if request.param is in_cluster else redis_url
    return lambda histories: request.param(histories, url)


def read(cache: FeatureCache, *users: str) -> list:
    async def once() -> list:
        readings = await cache.read(users)
        await cache.close()
        return [r.tolist() if isinstance(r, np.ndarray) else r for r in readings]

    return asyncio.run(once())


def fault(cache: FeatureCache) -> Reason | None:
    async def once() -> Reason | None:
        found = await cache.fault()
        await cache.close()
        return found

    return asyncio.run(once())


def test_histories_come_in_the_order_asked(filled_with) -> None:
    cache = filled_with({"a": np.array([1, 2]), "ü": np.array([70_000, 3])})
    assert read(cache, "ü", "a", "ü") == [[70_000, 3], [1, 2], [70_000, 3]]


def test_absent_user_is_unknown(filled_with) -> None:
    assert read(filled_with({"a": np.array([1])}), "b", "a") == [None, [1]]


def test_user_without_interactions_has_an_empty_history(filled_with) -> None:
    assert read(filled_with({"a": np.array([], dtype=np.int64)}), "a") == [[]]


def test_cache_that_was_never_filled_says_so(filled_with) -> None:
    assert read(filled_with(None), "a", "b") == [Reason.FEATURE_CACHE_EMPTY] * 2
    assert fault(filled_with(None)) is Reason.FEATURE_CACHE_EMPTY


def test_filled_cache_has_no_fault(filled_with) -> None:
    assert fault(filled_with({})) is None


def test_key_carries_partition_and_id() -> None:
    assert key_of("123456789") == "fw2:{p38}:u:123456789"  # its crc32 is 0xCBF43926, and 0x26 is 38
    partitions = {key_of(f"user {number}").split("}")[0] for number in range(2000)}
    assert partitions == {f"fw2:{{p{number:02d}" for number in range(64)}


def test_value_that_cannot_be_read_is_a_fault_and_no_unknown_user(redis_url: str) -> None:
    cache = in_redis({"a": np.array([1])}, redis_url)
    with connect(redis_url) as redis:
        redis.set(key_of("b"), b"\x09rubbish")
    assert read(cache, "a", "b") == [[1], Reason.FEATURE_CACHE_EMPTY]


def test_connection_that_redis_closed_while_nobody_asked_is_made_anew(redis_url: str) -> None:
    async def scenario() -> list:
        cache = in_redis({"u1": np.array([1, 2])}, redis_url)
        found = await cache.read(["u1"])
        with connect(redis_url) as redis:
            assert redis.client_kill_filter(_type="normal", skipme=True) == 1
        await asyncio.sleep(0.01)
        found += await cache.read(["u1"])
        await cache.close()
        return [reading.tolist() for reading in found]

    assert asyncio.run(scenario()) == [[1, 2], [1, 2]]


def test_refused_connection_is_a_cache_that_is_down(tmp_path: Path) -> None:
    cache = RedisFeatureCache(f"unix://{tmp_path}/none.sock", timeout_ms=50)
    assert read(cache, "a", "b") == [Reason.FEATURE_CACHE_DOWN] * 2


def test_hung_redis_times_out_and_later_answers_are_right(tmp_path: Path) -> None:
    async def ask_around_a_hang(url: str, pid: int) -> list:
        cache = RedisFeatureCache(url, timeout_ms=50)
        before = await cache.read(["a"])
        os.kill(pid, signal.SIGSTOP)
        hung = await cache.read(["a"])
        os.kill(pid, signal.SIGCONT)
        while not isinstance((after := await cache.read(["b"]))[0], np.ndarray):
            await asyncio.sleep(0.01)
        await cache.close()
        return [before[0].tolist(), hung[0], after[0].tolist()]

    with embedded_redis(tmp_path) as url, connect(url) as redis:
        write_histories(redis, as_histories({"a": [1], "b": [2]}), longest=100, ttl_seconds=60)
        pid = redis.info("server")["process_id"]
        assert asyncio.run(asyncio.wait_for(ask_around_a_hang(url, pid), 20)) == [
            [1],
            Reason.FEATURE_CACHE_TIMEOUT,
            [2],
        ]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reply_that_came_while_the_worker_stood_still_is_read(redis_url: str, new_loop) -> None:
    async def ask_before_a_halt() -> list:
        cache = RedisFeatureCache(redis_url, timeout_ms=500)
        await cache.read(["a"])
        asyncio.get_running_loop().call_later(0, time.sleep, 0.8)
        found = await cache.read(["a"])
        await cache.close()
        return found[0].tolist()

    with connect(redis_url) as redis:
        redis.flushall()
        write_histories(redis, as_histories({"a": [1, 2]}), longest=100, ttl_seconds=60)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(asyncio.wait_for(ask_before_a_halt(), 20)) == [1, 2]
