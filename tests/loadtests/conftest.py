"""A stub that stands for the service: it answers as the test says and remembers what it was asked."""

import asyncio
import contextlib
import itertools
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from loadtests.order import SCENARIOS
from loadtests.verdict import Verdict
from loadtests.waiting import free_port

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
    that to the n-th call of /events.

    It comes `wait(n)` seconds later, in pieces over `trickle(n)` seconds, with `header` besides the usual ones.
    """

    reply: Callable[[int, dict, str], Reply]
    wait: Callable[[int], float] = lambda n: 0.0
    trickle: Callable[[int], float] = lambda n: 0.0
    header: str = ""
    take: Callable[[int, list[dict]], Reply] = lambda n, events: (202, taken(events))
    asked: list[dict] = field(default_factory=list)
    told: list[list[dict]] = field(default_factory=list)
    status: dict = field(default_factory=dict)
    keys: set[str | None] = field(default_factory=set)
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
        request_id, seconds = headers.get("x-request-id", ""), 0.0
        if "/readyz" not in head:
            self.keys.add(headers.get("authorization"))
        if head.startswith("POST /predict "):
            body, number = json.loads(content), next(self._numbers)
            self.asked.append(body)
            reply, seconds = self.reply(number, body, request_id), self.trickle(number)
            if self.wait(number):  # who sleeps lets others pass
                await asyncio.sleep(self.wait(number))
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
        await _write(writer, f"HTTP/1.1 {status} X\r\n{start}{self.header}\r\n".encode() + sent, seconds)
        return True


async def _write(writer: asyncio.StreamWriter, content: bytes, seconds: float) -> None:
    size = len(content) // 10 if seconds else len(content)
    for begin in range(0, len(content), size):
        writer.write(content[begin : begin + size])
        await writer.drain()
        if seconds:
            await asyncio.sleep(seconds / 10)


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
def start_talker() -> Iterator[Callable[[bytes], str]]:
    """Start what says these bytes to whoever connects, whatever was asked, and hangs up; returns its URL."""
    with contextlib.ExitStack() as stack:

        def start(said: bytes) -> str:
            class Talker(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    self.request.recv(65536)
                    self.request.sendall(said)

            server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talker))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}"

        yield start


SLO = ("p(50) < 4000", "success >= 0.999", "degraded < 0.01")


@pytest.fixture
def locust_command(tmp_path: Path) -> Callable[..., list[str]]:
    """Plain `locust` with a scenario, for a second; its verdict goes to result.json in `tmp_path`."""

    def command(url: str, *options: str, scenario: str = "server", slo: Sequence[str] = SLO) -> list[str]:
        return [
            sys.executable, "-m", "locust", "-f", str(SCENARIOS[scenario]), "-H", url, "--only-summary",
            "--users=1", "--seconds=1", "--rate=300", "--connections=4", f"--result={tmp_path / 'result.json'}",
            "--max-lag-ms=2000",  # a machine that is busy with other tests is not what is tested
            *(f"--slo={objective}" for objective in slo), *_own_port(options), *options,
        ]  # fmt: skip

    return command


def _own_port(options: Sequence[str]) -> list[str]:
    """Of several processes' master: locust's own port is the same for every load test of a machine."""
    if not any(option.startswith("--processes") for option in options):
        return []
    port = free_port()
    return [f"--master-bind-port={port}", f"--master-port={port}"]


@pytest.fixture
def locust_environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SCENARIOS["server"].parents[2])}


@pytest.fixture
def run_locust(tmp_path: Path, locust_command, locust_environ):
    """Play a scenario; returns the exit code, all it printed, and the verdict if it wrote one."""

    def run(url: str, *options: str, **more: object) -> tuple[int, str, Verdict | None]:
        command = locust_command(url, "--headless", *options, **more)
        done = subprocess.run(
            command, cwd=tmp_path, env=locust_environ, capture_output=True, text=True, timeout=60
        )
        result = tmp_path / "result.json"
        verdict = msgspec.json.decode(result.read_bytes(), type=Verdict) if result.exists() else None
        return done.returncode, done.stdout + done.stderr, verdict

    return run


@pytest.fixture
def unused_url() -> str:
    """A port of the loopback where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
