"""Forgetting a user: history and entry in one step, with every kind of client."""

import asyncio
import time

import msgspec
import pytest
from redis import Redis
from redis import asyncio as redis_asyncio
from redis.exceptions import RedisError

from contracts.events import FORGOTTEN_FIELD, Forgotten, events_key, partition_of
from service.feature_cache import key_of
from service.forgetting import command_to_forget, forget
from service.redis_clients import connect

USER = "ü 1"
HISTORY = key_of(USER)
STREAM = events_key(partition_of(USER))


def entries(redis: Redis) -> list[Forgotten]:
    return [msgspec.json.decode(fields[FORGOTTEN_FIELD], type=Forgotten) for _, fields in redis.xrange(STREAM)]


def test_the_history_goes_and_the_stream_says_so(redis_url):
    with connect(redis_url) as redis:
        redis.flushall()
        redis.set(HISTORY, b"some")
        before = time.time() * 1000
        assert forget(redis, USER)
        assert not forget(redis, USER)
        assert not redis.exists(HISTORY)
        assert [entry.user_id for entry in entries(redis)] == [USER, USER]
        assert before - 1 <= entries(redis)[0].timestamp <= time.time() * 1000


def test_the_same_command_serves_who_may_not_block(redis_url):
    async def forget_all() -> list[int]:
        async with redis_asyncio.Redis.from_url(redis_url) as redis:
            await redis.flushall()
            await redis.set(HISTORY, b"some")
            return [await redis.execute_command(*command_to_forget(USER)) for _ in range(2)]

    assert asyncio.run(forget_all()) == [1, 0]


def test_a_full_redis_forgets_all_the_same(redis_url):
    with connect(redis_url) as redis:
        redis.flushall()
        redis.set(HISTORY, b"some")
        redis.config_set("maxmemory", 1)
        try:
            with pytest.raises(RedisError, match="maxmemory"):
                redis.set("anything", b"more")
            assert forget(redis, USER)
        finally:
            redis.config_set("maxmemory", 0)
        assert len(entries(redis)) == 1
