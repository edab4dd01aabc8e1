"""The feature cache: each user's history, one key per user, one round trip per batch.

    fw2:{pNN}:u:<user id>   the history (service/history.py); NN = crc32(user id) % 64, in braces so that a Redis
                            Cluster keeps the keys of one partition together
    fw2:marker              written last by `flyweight materialize`; gone means flushed or never filled

The prefix `fw2` changes when a format does.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from contracts.events import PARTITIONS, partition_of, tag_of
from contracts.reasons import Reason
from contracts.sections import Features
from service.deadlines import Limit
from service.history import pack, unpack_numbers
from service.redis_clients import connect_async

MARKER_KEY = "fw2:marker"
_USERS_OF = tuple(f"{tag_of(partition)}:u:" for partition in range(PARTITIONS))


def key_of(user_id: str) -> str:
    """The Redis key of a user's history."""
    return _USERS_OF[partition_of(user_id)] + user_id


Reading = np.ndarray | Reason | None
"""A user's item numbers, newest last; None for an unknown user; or the fault that hides them."""


class FeatureCache(Protocol):
    """Where histories are read. A fault of the cache is never raised: the reading says it."""

    async def read(self, user_ids: Sequence[str]) -> list[Reading]: ...

    async def fault(self) -> Reason | None:
        """What is wrong with the cache right now, or None."""

    async def close(self) -> None: ...


class RedisFeatureCache:
    """Histories in Redis, one MGET per reading on one connection, which is made anew after a fault.

    The client's own calls take three times as long as what they send and receive (a pool, retries and a task for
    its timeout each time), and its defaults wait for seconds and then try again. Here one limit stands over
    everything, connecting included: the answer is to fall back at once and to say so. A reply that had come while
    this process stood still is read.
    """

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        pool = redis_asyncio.ConnectionPool.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        self._connection = pool.make_connection()
        self._timeout_seconds = timeout_ms / 1000
        self._one_at_a_time = asyncio.Lock()

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        try:
            async with Limit(self._timeout_seconds), self._one_at_a_time:
                marker, *values = await self._ask("MGET", MARKER_KEY, *map(key_of, user_ids))
        except (RedisTimeoutError, TimeoutError):
            return [Reason.FEATURE_CACHE_TIMEOUT] * len(user_ids)
        except (RedisError, OSError):
            return [Reason.FEATURE_CACHE_DOWN] * len(user_ids)
        return [_reading_of(value, marker) for value in values]

    async def _ask(self, *command: str) -> list[bytes | None]:
        """The reply. After anything else the connection is closed: a reply that comes late is no other's."""
        try:
            if self._connection.is_connected and await self._connection.can_read():
                await self._connection.disconnect(nowait=True)  # Redis closed it while nobody asked
            await self._connection.send_command(*command, check_health=False)
            return await self._connection.read_response(timeout=math.inf)
        except BaseException:
            await self._connection.disconnect(nowait=True)
            raise

    async def fault(self) -> Reason | None:
        (reading,) = await self.read([""])  # no user has an empty id
        return reading if isinstance(reading, Reason) else None

    async def close(self) -> None:
        await self._connection.disconnect()


class ClusterFeatureCache:
    """The same in a Redis Cluster: one round trip to each node that holds some of the users."""

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        self._client = connect_async(url, cluster=True, timeout_ms=timeout_ms)
        self._timeout_seconds = timeout_ms / 1000

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                pipeline = self._client.pipeline()
                for key in (MARKER_KEY, *map(key_of, user_ids)):
                    pipeline.get(key)
                marker, *values = await pipeline.execute()
        except (RedisTimeoutError, TimeoutError):
            return [Reason.FEATURE_CACHE_TIMEOUT] * len(user_ids)
        except (RedisError, OSError):
            return [Reason.FEATURE_CACHE_DOWN] * len(user_ids)
        return [_reading_of(value, marker) for value in values]

    async def fault(self) -> Reason | None:
        (reading,) = await self.read([""])
        return reading if isinstance(reading, Reason) else None

    async def close(self) -> None:
        await self._client.aclose()


def open_feature_cache(url: str, settings: Features) -> FeatureCache:
    """The one that suits the Redis at `url`."""
    suitable = ClusterFeatureCache if settings.cluster else RedisFeatureCache
    return suitable(url, timeout_ms=settings.timeout_ms)


class InMemoryFeatureCache:
    """The same in a dictionary, filled through the same packing: for a process without Redis."""

    def __init__(self, histories: Mapping[str, np.ndarray] | None = None) -> None:
        self.values: dict[str, bytes] = {}
        if histories is not None:
            self.values = {key_of(user): pack(n, np.arange(len(n))) for user, n in histories.items()}
            self.values[MARKER_KEY] = b"1"

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        marker = self.values.get(MARKER_KEY)
        return [_reading_of(self.values.get(key_of(user)), marker) for user in user_ids]

    async def fault(self) -> Reason | None:
        return None if MARKER_KEY in self.values else Reason.FEATURE_CACHE_EMPTY

    async def close(self) -> None:
        pass


def _reading_of(value: bytes | None, marker: bytes | None) -> Reading:
    """An absent user is unknown only while the marker stands; without it nobody can be told apart."""
    if value is None:
        return Reason.FEATURE_CACHE_EMPTY if marker is None else None
    try:
        return unpack_numbers(value)
    except ValueError:
        return Reason.FEATURE_CACHE_EMPTY
