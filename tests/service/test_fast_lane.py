"""The short way answers as the public way does, byte for byte, and takes nothing that is not plain."""

import asyncio
import json
import random
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import uvicorn
from uvicorn.config import HTTP_PROTOCOLS

from contracts.artifact import Artifact
from contracts.sections import Settings
from service.app import create_app
from service.fast_lane import FastLane, open_fast_lane
from service.worker import Worker
from tests.service.in_process import GOOD, JSON, LAST, Cache, Open, no_redis, post, served

CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
CASES = {
    "known": (True, [post(GOOD)]),
    "history": (True, [post(b'{"history": ["i0", "i3"], "seen": "first", "exclude": ["i5"]}')]),
    "cold": (True, [post(b'{"user_id": "nobody"}')]),
    "chunked": (True, [post(CHUNKED, b"Transfer-Encoding: chunked")]),
    "header in capitals": (
        True,
        [post(GOOD, kind=JSON.upper().replace(b"APPLICATION/JSON", b"application/json"))],
    ),
    "bad request id": (True, [post(GOOD).replace(b"X-Request-Id: mine", b"X-Request-Id: " + b"x" * 200)]),
    "deadline": (True, [post(GOOD, b"X-Deadline-Ms: 50000")]),
    "deadline beyond ours": (True, [post(GOOD, b"x-deadline-ms:  %b " % (b"9" * 99))]),
    "no deadline at all": (False, [post(GOOD, b"X-Deadline-Ms: 0")]),
    "deadline in words": (False, [post(GOOD, b"X-Deadline-Ms: so\xc3\xbcn")]),
    "type with parameter": (False, [post(GOOD, kind=JSON + b"; charset=utf-8")]),
    "other type": (False, [post(GOOD, kind=b"Content-Type: text/plain")]),
    "no type": (False, [post(GOOD, kind=b"")]),
    "no json": (False, [post(b"{")]),
    "empty": (False, [post(b"")]),
    "wrong field": (False, [post(b'{"user_id": 7}')]),
    "a key twice": (False, [post(b'{"user_id": "a", "user_id": "b"}')]),
    "too large": (False, [post(b'{"user_id": "%b"}' % (b"u" * 5000))]),
    "too large in chunks": (
        False,
        [post(b"1400\r\n%b\r\n0\r\n\r\n" % (b" " * 5120), b"Transfer-Encoding: chunked")],
    ),
    "get": (False, [post(b"", line=b"GET /predict HTTP/1.1")]),
    "query": (False, [post(GOOD, line=b"POST /predict?a=b HTTP/1.1")]),
    "slash": (False, [post(GOOD, line=b"POST /predict/ HTTP/1.1")]),
    "escaped path": (False, [post(GOOD, line=b"POST /%70redict HTTP/1.1")]),
    "another route": (False, [post(GOOD, line=b"POST /status HTTP/1.1")]),
    "http 1.0": (False, [post(GOOD, line=b"POST /predict HTTP/1.0")]),
    "http 1.0 kept": (False, [post(GOOD, b"Connection: keep-alive", line=b"POST /predict HTTP/1.0")]),
    "to be closed": (False, [post(GOOD, b"Connection: close")]),
    "expect": (False, [post(GOOD, b"Expect: 100-continue")[: -len(GOOD)], GOOD]),
    "body in another piece": (False, [post(GOOD)[:-5], GOOD[-5:]]),
    "body that never comes": (False, [post(GOOD)[:-5]]),
}


@pytest.mark.parametrize("case", CASES)
def test_both_ways_answer_the_same_bytes(tmp_path: Path, promoted: Artifact, case: str) -> None:
    is_plain, pieces = CASES[case]

    async def ask(lane: bool) -> tuple[bytes, int]:
        async with served(tmp_path, lane=lane) as opened:
            gap = 0.2 if "never" in case else 0.02 if len(pieces) > 1 else 0.0
            return await opened.exchange(*pieces, LAST, pause=gap), opened.lane_answers

    public, none = asyncio.run(ask(lane=False))
    found, by_lane = asyncio.run(ask(lane=True))
    if case == "bad request id":
        public, found = (re.sub(rb"[0-9a-f]{16}", b"", answer) for answer in (public, found))
    assert found == public
    assert public.startswith(b"HTTP/1.1 ")
    assert (none, by_lane) == (0, int(is_plain))


CROWDED = {
    "plain": post(GOOD),
    "no id": post(GOOD).replace(b"X-Request-Id: mine", b"X-Other: mine"),
    "odd id": post(GOOD).replace(b"mine", b'"\\mine'),
    "no json": post(b"{"),
    "other type": post(GOOD, kind=b"Content-Type: text/plain"),
    "wrong deadline": post(GOOD, b"X-Deadline-Ms: never"),
    "to be closed": post(GOOD, b"Connection: close"),
}


@pytest.mark.parametrize("case", CROWDED)
def test_both_ways_refuse_with_the_same_bytes_when_there_is_a_crowd(
    tmp_path: Path, promoted: Artifact, case: str
) -> None:
    async def ask(lane: bool) -> bytes:
        async with served(tmp_path, lane=lane) as opened:
            opened.worker.pace.max_asked = 0
            found = await opened.exchange(CROWDED[case], LAST)
            opened.worker.pace.max_asked = 1
            assert (await opened.exchange(post(GOOD), LAST)).startswith(b"HTTP/1.1 200")
            assert not opened.worker.batcher.is_busy()
            return re.sub(rb"[0-9a-f]{16}", b"", found)

    public, found = asyncio.run(ask(lane=False)), asyncio.run(ask(lane=True))
    assert found == public
    assert public.startswith(b"HTTP/1.1 429") and b"retry-after: 1\r\n" in public and b'"overloaded"' in public


def test_a_refusal_takes_the_lane(tmp_path: Path, promoted: Artifact, monkeypatch) -> None:
    async def scenario() -> bytes:
        async with served(tmp_path) as opened:
            opened.worker.pace.max_asked = 0
            monkeypatch.delattr(FastLane, "_take_public_way")
            return await opened.exchange(post(GOOD) * 3, LAST)

    found = asyncio.run(scenario())
    assert found.count(b"HTTP/1.1 429") == 3 and b"HTTP/1.1 404" in found


def test_a_request_may_be_cut_anywhere(tmp_path: Path, promoted: Artifact) -> None:
    request = post(GOOD)

    async def scenario() -> set[bytes]:
        async with served(tmp_path) as opened:
            asking = (
                opened.exchange(request[:cut], request[cut:], LAST, pause=0.005) for cut in range(1, len(request))
            )
            return set(await asyncio.gather(*asking))

    (answer,) = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 200 OK") and b"HTTP/1.1 404" in answer


def test_pipelined_requests_are_answered_in_order(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> list[bytes]:
        async with served(tmp_path) as opened:
            requests = [
                post(b'{"user_id": "u%d"}' % (n % 4)).replace(b"mine", b"number-%d" % n) for n in range(20)
            ]
            return re.findall(rb"x-request-id: ([^\r]*)", await opened.exchange(b"".join(requests), LAST))

    assert asyncio.run(scenario()) == [*(b"number-%d" % n for n in range(20)), b"last"]


def test_every_one_of_many_gets_the_answer_to_its_own_question(tmp_path: Path, promoted: Artifact) -> None:
    """40 clients with 100 questions of all kinds each: every other one on a connection for each, the others on
    one, in packets of any number of questions and of any size."""
    luck = random.Random(7)
    bodies = [
        json.dumps({"history": [f"i{luck.randrange(8)}" for _ in range(luck.randrange(1, 5))], "k": 3}).encode()
        for _ in range(60)
    ] + [b'{"user_id": "u1"}', b'{"user_id": "u2"}', b'{"user_id": 7}']

    def answers_in(found: bytes) -> list[dict]:
        parts = re.findall(
            rb"content-length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n(\{.*?\}\n?)(?=HTTP/1.1|$)", found, re.DOTALL
        )
        return [json.loads(content) for _, content in parts]

    def named(number: int) -> bytes:
        return post(bodies[number]).replace(b"mine", b"question-%d" % number)

    async def one_by_one(opened: Open, numbers: Iterable[int]) -> list[dict]:
        return [answers_in(await opened.exchange(named(number), LAST))[0] for number in numbers]

    async def in_a_stream(opened: Open, numbers: list[int]) -> list[dict]:
        stream = b"".join(map(named, numbers))
        cuts = sorted(luck.sample(range(1, len(stream)), 60))
        pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        return answers_in(await opened.exchange(*pieces, LAST))[:-1]

    async def scenario() -> None:
        async with served(tmp_path, body_timeout_ms=20_000) as opened:
            expected = await one_by_one(opened, range(len(bodies)))
            visits = [[luck.randrange(len(bodies)) for _ in range(100)] for _ in range(40)]
            ways = [one_by_one, in_a_stream] * 20
            asking = (way(opened, numbers) for way, numbers in zip(ways, visits, strict=True))
            for numbers, answers in zip(visits, await asyncio.gather(*asking), strict=True):
                assert answers == [expected[number] for number in numbers]
            assert opened.lane_answers > 1_800
            assert not opened.worker.batcher.is_busy()

    asyncio.run(scenario())


def test_the_seam_is_where_uvicorn_looks(tmp_path: Path, promoted: Artifact, monkeypatch) -> None:
    """When this fails, uvicorn has changed: look at service/fast_lane.py before the version moves."""
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    worker = Worker(Settings(), Cache(), no_redis())
    open_fast_lane(worker)
    config = uvicorn.Config(create_app(worker))
    config.load()
    assert config.http_protocol_class.func is FastLane
