"""Clients of the feature cache's Redis, one server or a Cluster, that give up at once instead of trying again.

The client's own defaults wait for seconds and then retry; here whoever calls decides what a fault means.
"""

from functools import cache
from pathlib import Path

from redis import Redis, RedisCluster
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

_SCRIPTS = Path(__file__).parent / "scripts"

Client = Redis | RedisCluster
AsyncClient = redis_asyncio.Redis | redis_asyncio.RedisCluster


def connect(url: str, *, cluster: bool = False, timeout_ms: int = 10_000) -> Client:
    """A blocking client for who writes, with time enough for a thousand users at once."""
    limits = {"socket_timeout": timeout_ms / 1000, "socket_connect_timeout": timeout_ms / 1000}
    if cluster:
        return RedisCluster.from_url(url, **limits)
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **limits)


def connect_async(url: str, *, cluster: bool = False, timeout_ms: int) -> AsyncClient:
    """A client for the event loop."""
    limits = {"socket_timeout": timeout_ms / 1000, "socket_connect_timeout": timeout_ms / 1000}
    if cluster:
        return redis_asyncio.RedisCluster.from_url(url, retry=AsyncRetry(NoBackoff(), 1), **limits)
    return redis_asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0), **limits)


@cache
def script(*names: str) -> str:
    """The Lua scripts of these names, one after the other."""
    return "\n".join((_SCRIPTS / f"{name}.lua").read_text(encoding="utf-8") for name in names)
