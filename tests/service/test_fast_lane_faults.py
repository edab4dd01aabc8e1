"""What goes wrong in the lane: clients that go, crowds, time, bugs, the end of the service."""

import asyncio
import gc
import json
import re
from pathlib import Path

from contracts.artifact import Artifact
from service import telemetry
from service.fast_lane import FastLane
from service.worker import Worker
from tests.service.in_process import GOOD, LAST, Open, post, served


def ended(found: bytes) -> tuple[int, str, bool]:
    """Status, code of the error, whether the service closed on its own account."""
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body).get("error", {}).get("code"), b"connection: close" in head


async def when_asked(opened: Open, count: int) -> None:
    while opened.worker.features.asked < count:
        await asyncio.sleep(0.001)


def test_a_client_that_goes_leaves_nothing_behind(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> bytes:
        async with served(tmp_path, max_in_flight=1) as opened:
            opened.worker.features.may_go_on.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", opened.port)
            writer.write(post(GOOD))
            await when_asked(opened, 1)
            refused = await opened.exchange(post(GOOD, b"Connection: close"))
            assert ended(refused)[:2] == (429, "overloaded")
            writer.close()
            while opened.worker.batcher.is_busy():
                await asyncio.sleep(0.001)
            opened.worker.features.may_go_on.set()
            return await opened.exchange(post(GOOD), LAST)

    before = gone()
    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")
    assert gone() == before + 1


def gone() -> float:
    """How many clients that left before their answer the metrics know of."""
    found = re.findall(r'duration_seconds_count\{code="499",.*\} (\S+)', telemetry.exposition().decode())
    return sum(map(float, found))


def test_a_client_that_goes_with_another_question_behind_leaves_nothing_behind(
    tmp_path: Path, promoted: Artifact
) -> None:
    async def scenario() -> None:
        async with served(tmp_path) as opened:
            opened.worker.features.may_go_on.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", opened.port)
            writer.write(post(GOOD) + post(GOOD))
            await when_asked(opened, 1)
            writer.transport.abort()
            await asyncio.sleep(0.05)
            opened.worker.features.may_go_on.set()
            while opened.worker.batcher.is_busy() or opened.server.server_state.connections:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_connections_leave_no_garbage_to_collect(tmp_path: Path, promoted: Artifact) -> None:
    """A collection would halt a worker for tens of milliseconds."""

    def lanes() -> int:
        return sum(isinstance(one, FastLane) for one in gc.get_objects())

    async def scenario() -> int:
        async with served(tmp_path) as opened:
            gc.disable()
            try:
                for _ in range(50):
                    await opened.exchange(post(GOOD), LAST)
                return lanes()
            finally:
                gc.enable()

    gc.collect()
    before = lanes()
    assert asyncio.run(scenario()) - before <= 2


def test_one_too_many_is_told_so(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> list[bytes]:
        async with served(tmp_path, max_in_flight=1) as opened:
            opened.worker.features.may_go_on.clear()
            first = asyncio.create_task(opened.exchange(post(GOOD), LAST))
            await when_asked(opened, 1)
            second = await opened.exchange(post(GOOD), LAST)
            opened.worker.features.may_go_on.set()
            return [await first, second]

    first, second = asyncio.run(scenario())
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 429") and b"retry-after: 1" in second


def test_an_answer_that_takes_too_long_is_a_504(tmp_path: Path, promoted: Artifact, monkeypatch) -> None:
    monkeypatch.setattr("service.worker.ANSWER_SECONDS", 0.1)

    async def scenario() -> bytes:
        async with served(tmp_path) as opened:
            opened.worker.features.may_go_on.clear()
            found = await opened.exchange(post(GOOD), LAST)
            assert not opened.worker.batcher.is_busy()
            return found

    found = asyncio.run(scenario())
    assert found.startswith(b"HTTP/1.1 504") and b'"expired"' in found and b"HTTP/1.1 404" in found


def test_a_bug_is_a_500_and_the_connection_lives_on(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> bytes:
        async with served(tmp_path) as opened:
            opened.worker.features.failing = True
            return await opened.exchange(post(GOOD), LAST)

    found = asyncio.run(scenario())
    assert found.startswith(b"HTTP/1.1 500") and b'"internal_error"' in found and b"HTTP/1.1 404" in found


def test_what_cannot_be_put_into_words_is_a_500_for_that_one_alone(
    tmp_path: Path, promoted: Artifact, monkeypatch
) -> None:
    reply = Worker.reply

    def fail_once(worker: Worker, found, request_id: str):
        if request_id == "unspeakable":
            raise ValueError("a bug")
        return reply(worker, found, request_id)

    monkeypatch.setattr(Worker, "reply", fail_once)

    async def scenario() -> list[bytes]:
        async with served(tmp_path) as opened:
            requests = [post(GOOD).replace(b"mine", name) for name in (b"a", b"unspeakable", b"b")]
            opened.worker.features.may_go_on.clear()
            asking = [asyncio.create_task(opened.exchange(request, LAST)) for request in requests]
            await when_asked(opened, 1)
            opened.worker.features.may_go_on.set()
            return await asyncio.gather(*asking)

    assert [ended[9:12] for ended in asyncio.run(scenario())] == [b"200", b"500", b"200"]


def test_an_answer_that_cannot_be_sent_closes_its_connection_and_no_other(
    tmp_path: Path, promoted: Artifact, monkeypatch
) -> None:
    send = FastLane._send

    def fail_once(lane: FastLane, asked, *what) -> None:
        if asked.request_id == "unlucky":
            raise ValueError("a bug")
        send(lane, asked, *what)

    monkeypatch.setattr(FastLane, "_send", fail_once)

    async def scenario() -> list:
        async with served(tmp_path) as opened:
            requests = [post(GOOD).replace(b"mine", name) for name in (b"a", b"unlucky", b"b")]
            opened.worker.features.may_go_on.clear()
            asking = [asyncio.create_task(opened.exchange(request, LAST)) for request in requests]
            await when_asked(opened, 1)
            opened.worker.features.may_go_on.set()
            found = await asyncio.gather(*asking, return_exceptions=True)
            assert (await opened.exchange(post(GOOD), LAST)).startswith(b"HTTP/1.1 200")
            assert not opened.worker.batcher.is_busy()
            return found

    first, unlucky, last = asyncio.run(scenario())
    assert first.startswith(b"HTTP/1.1 200") and last.startswith(b"HTTP/1.1 200")
    assert unlucky == b"" or isinstance(unlucky, ConnectionError)


def test_a_question_under_way_is_answered_before_the_service_stops(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> bytes:
        async with served(tmp_path) as opened:
            opened.worker.features.may_go_on.clear()
            asking = asyncio.create_task(opened.exchange(post(GOOD)))
            await when_asked(opened, 1)
            opened.server.should_exit = True
            while opened.server.servers and any(each.is_serving() for each in opened.server.servers):
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            opened.worker.features.may_go_on.set()
            return await asking

    assert ended(asyncio.run(scenario())) == (200, None, True)
