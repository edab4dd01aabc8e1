"""A stub that stands for the service: it answers as the test says and remembers what it was asked."""

import asyncio
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ITEMS = [f"item-{i:03d}" for i in range(40)]
KNOWN = [f"user-{i}" for i in range(30)]

Reply = tuple[int, dict] | None
"""Status and body; None closes the connection without an answer."""


def good_answer(body: dict, request_id: str) -> dict:
    """What the service promises: the model for known users, the popular list for cold ones."""
    known = "history" in body or body["user_id"] in KNOWN
    return {
        "request_id": request_id,
        "items": [{"item_id": item, "score": 1.0} for item in ITEMS[: body["k"]]],
        "model": {"name": "popularity", "variant": "fp32", "version": "0123456789ab"},
        "source": "model" if known else "popular",
        "reason": "ok" if known else "cold_user",
        "degraded": False,
    }


@dataclass
class Stub:
    """`reply(n, body, request_id)` decides the answer to the n-th request, from 0."""

    reply: Callable[[int, dict, str], Reply]
    asked: list[dict] = field(default_factory=list)
    status: dict = field(default_factory=dict)
    keys: set[str | None] = field(default_factory=set)
    url: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        status, answer = 200, self.status if head.startswith("GET /status ") else {}
        request_id = headers.get("x-request-id", "")
        if "/readyz" not in head:
            self.keys.add(headers.get("authorization"))
        if head.startswith("POST /predict "):
            body = json.loads(content)
            reply = self.reply(next(self._numbers), body, request_id)
            self.asked.append(body)
            if reply is None:
                return False
            status, answer = reply
        sent = json.dumps(answer).encode()
        start = f"HTTP/1.1 {status} X\r\ncontent-length: {len(sent)}\r\nx-request-id: {request_id}\r\n\r\n"
        writer.write(start.encode() + sent)
        await writer.drain()
        return True


@pytest.fixture
def start_stub() -> Iterator[Callable[..., Stub]]:
    """Start a stub on a free port of the loopback, in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def start(reply: Callable[[int, dict, str], Reply]) -> Stub:
        stub = Stub(reply)
        listening = asyncio.start_server(stub.serve, "127.0.0.1", 0, backlog=4096)
        server = asyncio.run_coroutine_threadsafe(listening, loop).result(timeout=10)
        stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return stub

    yield start
    asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(timeout=10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=10)
    loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def traffic_file(tmp_path: Path) -> Path:
    users = [{"user_id": user, "history": ITEMS[-3:]} for user in KNOWN]
    visits = [[n * 0.01, n % 7] for n in range(1000)]
    path = tmp_path / "traffic.json"
    path.write_text(json.dumps({"schema_version": 2, "items": ITEMS, "users": users, "visits": visits}))
    return path


@pytest.fixture
def answer_well() -> Callable[[int, dict, str], Reply]:
    return lambda n, body, request_id: (200, good_answer(body, request_id))


@pytest.fixture
def unused_url() -> str:
    """A port of the loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
