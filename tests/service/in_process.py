"""A worker served by uvicorn in the process of the test, and raw requests to ask it with."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from contracts.sections import Paths, Service, Settings
from service.app import create_app
from service.fast_lane import FastLane
from service.feature_cache import FeatureCache, InMemoryFeatureCache
from service.filling import History
from service.redis_clients import connect_async
from service.worker import Worker

GOOD = b'{"user_id": "u1", "k": 3}'
JSON = b"Content-Type: application/json"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n"


class Cache(InMemoryFeatureCache):
    """Reads wait until they may go on; `failing` has the whole batch fail by a bug."""

    def __init__(self) -> None:
        super().__init__({"u1": np.array([10]), "u2": np.array([11, 12])})
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.failing = False
        self.asked = 0

    async def read(self, user_ids):
        self.asked += len(user_ids)
        await self.may_go_on.wait()
        if self.failing:
            raise RuntimeError("a bug")
        return await super().read(user_ids)


def as_histories(histories: Mapping[str, Sequence[int]]) -> list[History]:
    """Item numbers by user, as if one second lay between each and the next."""
    return [
        History(user, np.array(n), 1_700_000_000_000 + 1000 * np.arange(len(n))) for user, n in histories.items()
    ]


def no_redis():
    """A client of a Redis that is not there."""
    return connect_async("unix:///dev/null/redis.sock", timeout_ms=50)


class Open:
    """A served worker; `lane_answers` counts those that took the lane."""

    def __init__(self, worker: Worker, server: uvicorn.Server, port: int) -> None:
        self.worker, self.server, self.port = worker, server, port
        self.lane_answers = 0

    async def exchange(self, *pieces: bytes, pause: float = 0.0) -> bytes:
        """All that comes back for what is sent piece by piece, until the service closes; dates left out. Who still
        sends then, because the machine halted, has read what came before."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        reading = asyncio.create_task(_read_to_the_end(reader))
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        found = await asyncio.wait_for(reading, 20)
        writer.close()
        return re.sub(rb"date: [^\r]*\r\n", b"", found)


async def _read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            found += piece
    return found


@contextlib.asynccontextmanager
async def served(
    root: Path, *, lane: bool = True, features: FeatureCache | None = None, **limits: int
) -> AsyncIterator[Open]:
    """Without a deadline that a busy machine could miss, unless `limits` has one."""
    paths = Paths(artifacts=root / "artifacts", bundle=root / "bundle")
    limits = {"max_body_bytes": 4096, "body_timeout_ms": 100, "deadline_ms": 3000} | limits
    worker = Worker(Settings(paths=paths, service=Service(**limits)), features or Cache(), no_redis())
    protocol = partial(FastLane, worker) if lane else "httptools"
    server = uvicorn.Server(
        uvicorn.Config(create_app(worker), http=protocol, server_header=False, log_config=None)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.MonkeyPatch.context() as patch:
        opened = Open(worker, server, listening.getsockname()[1])
        finish = FastLane.finish

        def count(*arguments) -> None:
            opened.lane_answers += 1
            finish(*arguments)

        patch.setattr(FastLane, "finish", count)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.001)
        try:
            yield opened
        finally:
            if features is None:
                worker.features.may_go_on.set()
            server.should_exit = True
            await asyncio.wait_for(running, 20)


def post(body: bytes, *headers: bytes, line: bytes = b"POST /predict HTTP/1.1", kind: bytes = JSON) -> bytes:
    """A request; its length is said unless it is chunked."""
    lines = [line, b"Host: a", b"X-Request-Id: mine", *filter(None, [kind]), *headers]
    if b"Transfer-Encoding: chunked" not in headers:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])
