"""The feature cache: each user's history as item numbers, one key per user, one round trip per batch.

    fw1:{pNN}:u:<user id>   the history; NN = crc32(user id) % 64, in braces so that a Redis Cluster
                            keeps the keys of one partition together
    fw1:marker              written last by `flyweight materialize`; gone means flushed or never filled

A history is packed as one byte format version (1), one byte width (1 to 4), then the item numbers,
`width` bytes each, little-endian, newest last. The prefix `fw1` changes when any of this does.
"""

import asyncio
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from redis import Redis
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from contracts.reasons import Reason

PARTITIONS = 64
MARKER_KEY = "fw1:marker"
_FORMAT = 1
_UNSIGNED = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4")}
_USERS_PER_PIPELINE = 1000


def key_of(user_id: str) -> str:
    """The Redis key of a user's history."""
    return f"fw1:{{p{zlib.crc32(user_id.encode()) % PARTITIONS:02d}}}:u:{user_id}"


def pack(numbers: np.ndarray) -> bytes:
    """Item numbers (unsigned, newest last) as the value of a user's key."""
    numbers = np.asarray(numbers, dtype="<u4")
    highest = int(numbers.max(initial=0))
    width = max(1, (highest.bit_length() + 7) // 8)
    return bytes((_FORMAT, width)) + numbers.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()


def unpack(value: bytes) -> np.ndarray:
    """Item numbers (unsigned, of any width), newest last. Raises `ValueError` for a value of another format."""
    width = value[1] if len(value) > 1 else 0
    if not 1 <= width <= 4 or value[0] != _FORMAT or (len(value) - 2) % width:
        raise ValueError(f"found a history that starts with {value[:2].hex()!r}, expected format {_FORMAT}")
    if width != 3:
        return np.frombuffer(value, dtype=_UNSIGNED[width], offset=2)
    wide = np.zeros(((len(value) - 2) // width, 4), dtype=np.uint8)
    wide[:, :width] = np.frombuffer(value, dtype=np.uint8, offset=2).reshape(-1, width)
    return wide.view("<u4").ravel()


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
    everything, connecting included: the answer is to fall back at once and to say so.
    """

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        pool = redis_asyncio.ConnectionPool.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        self._connection = pool.make_connection()
        self._timeout_seconds = timeout_ms / 1000
        self._one_at_a_time = asyncio.Lock()

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._one_at_a_time:
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


class InMemoryFeatureCache:
    """The same in a dictionary, filled through the same packing: for a process without Redis."""

    def __init__(self, histories: Mapping[str, np.ndarray] | None = None) -> None:
        self.values: dict[str, bytes] = {}
        if histories is not None:
            self.values = {key_of(user): pack(numbers) for user, numbers in histories.items()}
            self.values[MARKER_KEY] = b"1"

    async def read(self, user_ids: Sequence[str]) -> list[Reading]:
        marker = self.values.get(MARKER_KEY)
        return [_reading_of(self.values.get(key_of(user)), marker) for user in user_ids]

    async def fault(self) -> Reason | None:
        return None if MARKER_KEY in self.values else Reason.FEATURE_CACHE_EMPTY

    async def close(self) -> None:
        pass


def connect(url: str, *, timeout_ms: int = 10_000) -> Redis:
    """A blocking client for who writes, with time enough for a pipeline of a thousand users."""
    return Redis.from_url(url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000)


def write_histories(redis: Redis, histories: Iterable[tuple[str, np.ndarray]], *, ttl_seconds: int) -> int:
    """Write histories (user id, item numbers newest last), then the marker; return how many users.

    Safe while serving: a reader sees a user's old history or the new one.
    """
    written = 0
    pipeline = redis.pipeline(transaction=False)
    for user_id, numbers in histories:
        pipeline.set(key_of(user_id), pack(numbers), ex=ttl_seconds)
        written += 1
        if written % _USERS_PER_PIPELINE == 0:
            pipeline.execute()
    pipeline.set(MARKER_KEY, str(written))
    pipeline.execute()
    return written


def _reading_of(value: bytes | None, marker: bytes | None) -> Reading:
    """An absent user is unknown only while the marker stands; without it nobody can be told apart."""
    if value is None:
        return Reason.FEATURE_CACHE_EMPTY if marker is None else None
    try:
        return unpack(value)
    except ValueError:
        return Reason.FEATURE_CACHE_EMPTY
