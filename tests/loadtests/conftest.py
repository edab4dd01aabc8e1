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

Reply = tuple[int, dict] | tuple[int, dict, dict[str, str]] | None
"""Status and body, and headers where there are any; None closes the connection without an answer."""


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


def taken(events: list[dict], duplicates: int = 0) -> dict:
    """The body of a 202."""
    return {
        "request_id": "r", "accepted": len(events) - duplicates, "duplicates": duplicates, "rejected": [],
    }  # fmt: skip


@dataclass
class Stub:
    """`reply(n, body, request_id)` decides the answer to the n-th request of /predict, from 0; `take(n, events)`
    that to the n-th call of /events."""

    reply: Callable[[int, dict, str], Reply]
    take: Callable[[int, list[dict]], Reply] = lambda n, events: (202, taken(events))
    asked: list[dict] = field(default_factory=list)
    told: list[list[dict]] = field(default_factory=list)
    status: dict = field(default_factory=dict)
    url: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _calls: Iterator[int] = field(default_factory=itertools.count)

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
        if head.startswith("POST /predict "):
            body = json.loads(content)
            reply = self.reply(next(self._numbers), body, request_id)
            self.asked.append(body)
            if reply is None:
                return False
            status, answer = reply
        more: dict[str, str] = {}
        if head.startswith("POST /events "):
            events = json.loads(content)["events"]
            reply = self.take(next(self._calls), events)
            self.told.append(events)
            if reply is None:
                return False
            status, answer, more = (*reply, {})[:3]
        sent = json.dumps(answer).encode()
        named = {"content-length": len(sent), "x-request-id": request_id, **more}
        start = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{start}\r\n".encode() + sent)
        await writer.drain()
        return True


@pytest.fixture
def start_stub() -> Iterator[Callable[..., Stub]]:
    """Start a stub on a free port of the loopback, in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def start(reply: Callable[[int, dict, str], Reply], **more: Callable) -> Stub:
        stub = Stub(reply, **more)
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
