"""A worker with a real Redis behind a proxy, and faults to plant in either."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from service.feature_cache import MARKER_KEY, RedisFeatureCache, key_of
from service.filling import write_histories
from service.redis_clients import connect
from tests.service.in_process import LAST, Open, as_histories, post, served
from tests.service.proxy import Proxy, proxy_of

ASKERS = {
    "known": b'{"user_id": "u1", "k": 3}',
    "cold": b'{"user_id": "nobody", "k": 3}',
    "anonymous": b'{"history": ["i0"], "k": 3}',
    "empty": b'{"history": [], "k": 3}',
}
TIMEOUT_MS = 200
"""More than the default of 50: that is over at once on a machine that is busy with other tests."""


@dataclasses.dataclass
class Redis:
    """A real one with one user; faults are planted through it or through the proxy before it."""

    url: str
    pid: int

    @property
    def socket_path(self) -> str:
        return unquote(self.url.removeprefix("unix://"))

    def fill(self) -> None:
        with connect(self.url) as redis:
            redis.flushall()
            write_histories(redis, as_histories({"u1": [10]}), longest=100, ttl_seconds=600)

    def command(self, *words: str | bytes) -> None:
        with connect(self.url) as redis:
            redis.execute_command(*words)

    def halt(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@dataclasses.dataclass
class World:
    redis: Redis
    proxy: Proxy
    opened: Open

    async def ask(self, asker: str, *headers: bytes) -> tuple[int, dict]:
        found = await self.opened.exchange(post(ASKERS[asker], *headers), LAST)
        head, body = found.split(b"HTTP/1.1 404")[0].split(b"\r\n\r\n", 1)
        return int(head[9:12]), json.loads(body)

    async def reason(self) -> str:
        return (await self.ask("known"))[1]["reason"]


@contextlib.asynccontextmanager
async def world(root: Path, redis: Redis, *, lane: bool = True) -> AsyncIterator[World]:
    """A worker whose Redis is behind a proxy, and that has answered well."""
    redis.fill()
    async with proxy_of(redis.socket_path) as proxy:
        cache = RedisFeatureCache(proxy.url, timeout_ms=TIMEOUT_MS)
        async with served(root, lane=lane, features=cache) as opened:
            found = World(redis, proxy, opened)
            await until(found.reason, "ok")
            try:
                yield found
            finally:
                redis.go_on()


async def until(found: Callable, expected: object, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while await found() != expected:
            await asyncio.sleep(0.005)


async def plant(fault: str, world: World) -> tuple[bytes, ...]:
    """Have it happen; the headers to ask with."""
    redis, worker = world.redis, world.opened.worker
    if fault == "refused":
        await world.proxy.refuse()
    elif fault == "hung":
        redis.halt()
    elif fault == "slow":
        world.proxy.delay_seconds = 3 * TIMEOUT_MS / 1000
    elif fault == "flushed":
        redis.command("FLUSHALL")
    elif fault == "another version":
        redis.command("RENAME", MARKER_KEY, "fw0:marker")
        redis.command("RENAME", key_of("u1"), "fw0:u:u1")
    elif fault == "unreadable history":
        redis.command("SET", key_of("u1"), b"\xffof another format")
    elif fault == "model fails":
        rollout = worker.rollout
        rollout.current = dataclasses.replace(rollout.current, predictor=BrokenPredictor())
    elif fault == "deadline near":
        for _ in range(3):  # two in a row are believed
            worker.pace.note_batch(1, 5.0)
        return (b"X-Deadline-Ms: 2000",)
    return ()


async def until_open(one: World) -> None:
    async with asyncio.timeout(20):
        while not one.opened.worker.breaker.is_open:
            await one.ask("known")


class BrokenPredictor:
    max_history = 4
    room = None

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple:
        raise RuntimeError("the engine gave up")
