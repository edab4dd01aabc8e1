"""What the parser refuses, and what clients leave undone, on one connection of a worker in process."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from service import telemetry
from service.fast_lane import FastLane
from service.strict_protocol import MAX_HEAD_BYTES
from tests.service.in_process import GOOD, LAST, Open, post, served

PARTING = b"Connection: close"
IDLE_SECONDS = 0.2


def statuses(found: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", found)]


def error_in(found: bytes) -> dict:
    """The last answer's."""
    return json.loads(found.rpartition(b"\r\n\r\n")[2])["error"]


def ask(root: Path, *pieces: bytes, pause: float = 0.0, idle_seconds: float = 5) -> bytes:
    async def scenario() -> bytes:
        async with served(root, body_timeout_ms=2000) as opened:
            opened.server.config.timeout_keep_alive = idle_seconds
            return await opened.exchange(*pieces, pause=pause)

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", "not HTTP/1.1"),
        (post(GOOD).replace(b"Length: 25", b"Length: x"), "Content-Length"),
        (post(GOOD, line=b"POST http://a:99999999/predict HTTP/1.1"), "the URL cannot be read"),
        (post(GOOD, line=b"CONNECT a:80 HTTP/1.1"), "tunnel"),
    ],
)
def test_what_is_no_http_is_refused_in_our_shape_and_the_connection_closed(
    tmp_path: Path, promoted: Artifact, sent: bytes, message: str
) -> None:
    found = ask(tmp_path, sent)
    assert statuses(found) == [400]
    assert b"connection: close" in found and b"x-request-id: " in found
    error = error_in(found)
    assert (error["code"], error["field"]) == ("invalid_request", None)
    assert message in error["message"]


def test_refusals_are_counted(tmp_path: Path, promoted: Artifact) -> None:
    def counted() -> float:
        series = rb'duration_seconds_count\{code="431",route="other".*\} (\S+)'
        return sum(map(float, re.findall(series, telemetry.exposition())))

    before = counted()
    ask(tmp_path, post(GOOD, b"X: " + b"y" * MAX_HEAD_BYTES))
    assert counted() == before + 1


@pytest.mark.parametrize("size", [1_000, 30_000, 40_000, 1_000_000])
def test_head_over_the_limit_is_a_431_however_it_is_cut(tmp_path: Path, promoted: Artifact, size: int) -> None:
    large = post(GOOD, b"X: " + b"y" * MAX_HEAD_BYTES)
    pieces = [large[start : start + size] for start in range(0, len(large), size)]
    found = ask(tmp_path, *pieces, pause=0.001)
    assert statuses(found) == [431]
    assert error_in(found)["code"] == "head_too_large"


def test_head_below_the_limit_may_come_in_pieces(tmp_path: Path, promoted: Artifact) -> None:
    large = post(GOOD, b"X: " + b"y" * (MAX_HEAD_BYTES - 500), PARTING)
    pieces = [large[start : start + 5000] for start in range(0, len(large), 5000)]
    assert statuses(ask(tmp_path, *pieces, pause=0.001)) == [200]


def test_client_that_still_sends_reads_why_it_was_refused(tmp_path: Path, promoted: Artifact) -> None:
    found = ask(tmp_path, b"no http\r\n", *[b"x" * 100_000] * 20)
    assert statuses(found) == [400]


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_upgrade_that_we_do_not_do_is_passed_over(tmp_path: Path, promoted: Artifact, protocol: bytes) -> None:
    """Java's client and curl --http2 offer one with the first question, body and all."""
    offer = post(GOOD, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol)
    plain = ask(tmp_path, post(GOOD), LAST)
    assert statuses(plain) == [200, 404]
    assert ask(tmp_path, offer, LAST) == plain
    assert ask(tmp_path, offer + LAST) == plain
    assert ask(tmp_path, offer[:-5], offer[-5:], LAST, pause=0.01) == plain


def test_head_that_is_not_finished_is_a_408_however_busily_it_grows(tmp_path: Path, promoted: Artifact) -> None:
    started = post(GOOD)[:40]
    found = ask(tmp_path, started, idle_seconds=IDLE_SECONDS)
    assert statuses(found) == [408]
    assert "head" in error_in(found)["message"]
    growing = [started, *[b"y"] * 20]
    assert statuses(ask(tmp_path, *growing, pause=IDLE_SECONDS / 5, idle_seconds=IDLE_SECONDS)) == [408]


def test_answer_may_take_longer_than_the_head_had(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> bytes:
        async with served(tmp_path) as opened:
            opened.server.config.timeout_keep_alive = IDLE_SECONDS
            opened.worker.features.may_go_on.clear()
            asking = asyncio.create_task(opened.exchange(post(GOOD)[:40], post(GOOD, PARTING)[40:], pause=0.01))
            await asyncio.sleep(2 * IDLE_SECONDS)
            opened.worker.features.may_go_on.set()
            return await asking

    assert statuses(asyncio.run(scenario())) == [200]


def test_rest_of_a_refused_body_that_does_not_come_ends_the_connection(tmp_path: Path, promoted: Artifact) -> None:
    large = post(b" " * 5000)
    assert statuses(ask(tmp_path, large[:-2000], idle_seconds=IDLE_SECONDS)) == [413]


def test_rest_of_a_refused_body_is_thrown_away(tmp_path: Path, promoted: Artifact) -> None:
    large = post(b" " * 5000)
    assert statuses(ask(tmp_path, large[:-2000], large[-2000:], post(GOOD), LAST, pause=0.02)) == [413, 200, 404]


def test_what_is_broken_behind_an_answer_ends_the_connection_without_a_second_one(
    tmp_path: Path, promoted: Artifact
) -> None:
    refused = post(b"3\r\nabc\r\n", b"Transfer-Encoding: chunked", kind=b"")
    assert statuses(ask(tmp_path, refused, b"zz\r\n", pause=0.02)) == [415]


def test_broken_body_behind_questions_that_wait_is_refused_after_their_answers(
    tmp_path: Path, promoted: Artifact
) -> None:
    broken = post(b"3\r\nabc\r\nzz", b"Transfer-Encoding: chunked")

    async def scenario() -> bytes:
        async with served(tmp_path) as opened:
            opened.worker.features.may_go_on.clear()
            asking = asyncio.create_task(opened.exchange(post(GOOD) * 3 + broken))
            await when_asked(opened)
            opened.worker.features.may_go_on.set()
            found = await asking
            assert not opened.worker.batcher.is_busy()
            return found

    assert statuses(asyncio.run(scenario())) == [200, 200, 200, 400]


async def when_asked(opened: Open) -> None:
    while not opened.worker.features.asked:
        await asyncio.sleep(0.001)


def test_bug_before_the_route_is_known_is_a_500_and_logged(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: FastLane) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(FastLane, "_may_be_plain", fail)
    found = ask(tmp_path, post(GOOD))
    assert statuses(found) == [500]
    assert error_in(found)["code"] == "internal_error"
    assert "a bug" in caplog.text
