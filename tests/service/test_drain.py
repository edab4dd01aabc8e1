"""SIGTERM while clients ask: none of them sees an error, and the service ends in time."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from service.listening import hold_off_newcomers, waiting_in
from tests.service.in_process import GOOD, Open, post, served
from tests.service.keep_alive import asking
from tests.service.real_server import OURS, PLAIN, await_that, launch

DRAIN_SECONDS = 0.5


@pytest.fixture
def surviving_sigterm() -> Iterator[None]:
    """uvicorn raises the signal again at its end, as it should; pytest has to survive that."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


def scenario(
    root: Path, run: Callable[[Open], Awaitable[None]], *, lane: bool, seconds: float = DRAIN_SECONDS
) -> None:
    """Run it on an open service and wait for the end, which a SIGTERM has to bring."""

    async def until_the_end() -> None:
        async with opened(root, lane=lane, seconds=seconds) as service:
            await run(service)
            while service.server.servers[0].is_serving() or service.server.server_state.connections:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(until_the_end(), 20))


@contextlib.asynccontextmanager
async def opened(root: Path, *, lane: bool, seconds: float) -> AsyncIterator[Open]:
    async with served(root, lane=lane, drain_seconds=seconds, body_timeout_ms=5000) as service:
        yield service


async def begin(service: Open) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    while not service.worker.drain.is_on:
        await asyncio.sleep(0.001)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer with its body; b"" where the connection ended instead."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head.lower() + await reader.readexactly(length)


both_ways = pytest.mark.parametrize("lane", [True, False], ids=["lane", "public"])
pytestmark = pytest.mark.usefixtures("surviving_sigterm")


def test_connections_kept_and_new_are_answered_and_worker_is_not_ready(tmp_path: Path, promoted: Artifact) -> None:
    async def run(service: Open) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(post(GOOD))
        assert b"connection: close" not in await answer(reader)
        await begin(service)
        assert not service.worker.is_ready
        writer.write(post(GOOD))
        assert b"connection: close" in await answer(reader)
        assert await reader.read() == b""
        assert (await service.exchange(post(GOOD))).startswith(b"HTTP/1.1 200")
        writer.close()

    scenario(tmp_path, run, lane=True)


@both_ways
def test_idle_connection_is_closed_at_the_end_of_the_drain(tmp_path: Path, promoted: Artifact, lane: bool) -> None:
    async def run(service: Open) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(post(GOOD))
        await answer(reader)
        await begin(service)
        began = asyncio.get_running_loop().time()
        assert await reader.read() == b""
        passed = asyncio.get_running_loop().time() - began
        assert passed > 0.8 * DRAIN_SECONDS
        writer.close()

    scenario(tmp_path, run, lane=lane)


@both_ways
def test_request_that_is_under_way_at_the_end_is_answered(tmp_path: Path, promoted: Artifact, lane: bool) -> None:
    async def run(service: Open) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        request = post(GOOD)
        writer.write(request[:-3])
        await begin(service)
        while service.server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        writer.write(request[-3:])
        found = await answer(reader)
        assert found.startswith(b"http/1.1 200")
        assert b"connection: close" in found
        writer.close()

    scenario(tmp_path, run, lane=lane, seconds=0)


def test_connection_that_stays_silent_holds_up_nobody(tmp_path: Path, promoted: Artifact) -> None:
    async def run(service: Open) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        await begin(service)
        while service.server.server_state.connections:
            await asyncio.sleep(0.01)
        writer.close()

    scenario(tmp_path, run, lane=True, seconds=0)


def test_second_signal_ends_the_wait(tmp_path: Path, promoted: Artifact) -> None:
    async def run(service: Open) -> None:
        await begin(service)
        os.kill(os.getpid(), signal.SIGTERM)
        while not service.server.should_exit:
            await asyncio.sleep(0.001)

    scenario(tmp_path, run, lane=True, seconds=600)


def test_worker_that_lost_its_parent_makes_room_at_once(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(service: Open) -> None:
        monkeypatch.setattr(os, "getppid", lambda: 1_000_000)
        await begin(service)
        assert service.server.should_exit

    scenario(tmp_path, run, lane=True, seconds=600)


def test_newcomers_are_held_off_and_who_waits_is_let_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address) as early:
            assert waiting_in(listening.fileno()) == 1
            hold_off_newcomers(listening.fileno())
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            assert waiting_in(listening.fileno()) == 1
            taken, _ = listening.accept()
            assert waiting_in(listening.fileno()) == 0
            early.sendall(b"question")
            with taken:
                assert taken.recv(100) == b"question"


@pytest.mark.parametrize(
    ("command", "shortcut"), [(OURS, "true"), (OURS, "false"), (PLAIN, "true")], ids=["lane", "public", "bentoml"]
)
def test_clients_that_ask_without_pause_see_no_error_while_the_service_stops(
    tiny, tmp_path: Path, command: list[str], shortcut: str
) -> None:
    artifact = tiny.seal(tmp_path / "artifacts")
    move_pointer(tmp_path / "artifacts", artifact.path)
    variables = {"FLYWEIGHT_SERVICE_DRAIN_SECONDS": "1.5", "FLYWEIGHT_SERVICE_SHORTCUT": shortcut}
    server = launch(command, tmp_path, **variables)
    family = server.family()
    with asking(8, server.port, {"history": ["i0"], "k": 2}) as clients:
        server.process.send_signal(signal.SIGTERM)
        await_that(lambda: server.call("/readyz")[0] == 503, 5)
        assert server.call("/predict", {"history": ["i0"]})[0] == 200
        code = server.process.wait(20)
        await_that(lambda: all(client.was_refused or client.errors for client in clients), 20)
    assert [client.errors for client in clients] == [[]] * 8
    assert all(client.farewells for client in clients)
    assert code == 0
    await_that(lambda: not any(process.is_running() for process in family), 10)
