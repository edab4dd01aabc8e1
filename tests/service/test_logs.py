"""What a real service writes to standard error while things go wrong, and which request a line is about."""

import asyncio
import http.client
import json
import logging
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper, numpy_helper

from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from service.api_keys import hash_of, new_key
from service.embedded_redis import running
from service.redis_clients import connect
from tests.service.in_process import GOOD, Cache, post, served
from tests.service.real_server import OURS, PLAIN, Server, await_that, launch, stop

STORM = 1000
USER, ITEM = "a-user-of-ours", "an-item-of-ours"


def fragile(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, which fails when it is asked for seven items or more."""
    nodes = graph.graph.node
    nodes[-1].input[1] = "as_many"
    nodes.insert(len(nodes) - 1, helper.make_node("Gather", ["nothing", "k"], ["zero"], axis=0))
    nodes.insert(len(nodes) - 1, helper.make_node("Add", ["k", "zero"], ["as_many"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(7, np.int64), "nothing"))
    return graph


@dataclass
class Troubled:
    """What a service wrote that was asked much, and to which much happened."""

    lines: list[str] = field(default_factory=list)
    seen: list[tuple[int, str | None]] = field(default_factory=list)
    key: str = ""

    def of(self, logger: str, words: str) -> list[dict]:
        found = map(json.loads, self.lines)
        return [line for line in found if line["logger"] == logger and words in line["message"]]


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: dict, key: str, request_id: str):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}", "X-Request-Id": request_id}
    connection.request(method, path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    return answer.status, content.get("reason")


def cause_trouble(server: Server, key: str) -> Iterator[tuple[int, str | None]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for number in range(STORM):  # on one connection, so of one worker and in batches of one
        yield ask(connection, "POST", "/predict", {"history": ["i0"], "k": 7}, key, f"storm-{number}")
    yield ask(connection, "POST", "/predict", {"user_id": 7, "exclude": [ITEM]}, key, "wrong")
    yield ask(connection, "POST", "/predict", {"user_id": USER}, "no such key " + key, "nobody")
    with connect(running(server.root / "state")) as redis:
        psutil.Process(redis.info("server")["process_id"]).kill()
    event = {"event_id": "e", "type": "click", "user_id": USER, "item_id": ITEM, "timestamp": 1_700_000_000_000}
    for number in range(20):
        yield ask(connection, "POST", "/predict", {"user_id": USER, "exclude": [ITEM]}, key, f"away-{number}")
        yield ask(connection, "POST", "/events", {"events": [event]}, key, f"event-{number}")
        yield ask(connection, "DELETE", f"/users/{USER}", {}, key, f"forget-{number}")


@pytest.fixture(scope="module")
def troubled(tiny, tmp_path_factory: pytest.TempPathFactory) -> Troubled:
    root = tmp_path_factory.mktemp("logs")
    artifact = tiny.seal(root / "artifacts", model=fragile(tiny.graph()))
    move_pointer(root / "artifacts", artifact.path)
    key = new_key()
    told = Troubled(key=key)
    keys = json.dumps([hash_of(key)])
    server = launch(OURS, root, log=root / "log", FLYWEIGHT_SERVICE_ADMIN_KEYS=keys)
    try:
        told.seen = list(cause_trouble(server, key))
        broken = tiny.seal(root / "artifacts", variant="fp16")
        (broken.path / "model.onnx").write_bytes(b"torn")
        move_pointer(root / "artifacts", broken.path)
        await_that(lambda: (root / "log").read_text().count("promotion refused") == 2)
    finally:
        stop(server, signal.SIGTERM)
    told.lines = (root / "log").read_text().splitlines()
    return told


def total(lines: list[dict]) -> int:
    return sum(1 + line.get("repeated", 0) for line in lines)


def test_every_line_is_one_json_object_with_the_same_words(troubled: Troubled) -> None:
    for line in map(json.loads, troubled.lines):
        assert {"time", "level", "logger", "message", "worker"} <= line.keys()
        assert line.keys() <= {"time", "level", "logger", "message", "worker", "request_id", "repeated", "error"}
        assert line["time"].endswith("Z")
    workers = {line["worker"] for line in map(json.loads, troubled.lines)}
    assert len(workers) == 4  # the verb, BentoML's parent, two workers


def test_storm_of_failures_is_a_few_lines_and_the_right_count(troubled: Troubled) -> None:
    assert troubled.seen[:STORM] == [(200, "model_unavailable")] * STORM
    found = troubled.of("service.recommender", "fails at run time")
    assert len(found) <= 5
    assert total(found) == STORM
    assert found[0]["request_id"] == "storm-0"
    assert "out of data bounds" in found[0]["error"]["message"]
    assert "predictor.py" in found[0]["error"]["traceback"]


def test_redis_that_went_away_is_told_once_by_each_who_met_it(troubled: Troubled) -> None:
    assert len(troubled.of("service.breaker", "feature_cache_down")) == 1
    failed = troubled.of("service.exchange", "/events answered 503 events_unavailable")
    assert failed[0]["request_id"] == "event-0"
    assert total(failed) == 20
    forgotten = troubled.of("service.exchange", "/users/{user_id} answered 503")
    assert (forgotten[0]["request_id"], total(forgotten)) == ("forget-0", 20)


def test_refused_promotion_is_told_by_every_worker(troubled: Troubled) -> None:
    assert len({line["worker"] for line in troubled.of("service.rollout", "promotion refused")}) == 2


def test_what_a_client_does_wrong_is_no_line(troubled: Troubled) -> None:
    assert {status for status, _ in troubled.seen} == {200, 400, 401, 503}
    assert not [line for line in troubled.lines if '"wrong"' in line or '"nobody"' in line]


def test_no_line_holds_a_user_an_item_or_a_key(troubled: Troubled) -> None:
    text = "\n".join(troubled.lines)
    assert not [secret for secret in (USER, ITEM, troubled.key, hash_of(troubled.key)) if secret in text]


def test_plain_bentoml_and_its_refusal_to_start_speak_json_too(tiny, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        launch(PLAIN, tmp_path, log=tmp_path / "log")
    (line,) = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert line["logger"] == "flyweight"
    assert line["message"].startswith("nothing is promoted")


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "public"])
def test_bug_is_told_with_the_id_of_the_request(
    tmp_path: Path, promoted: Artifact, caplog: pytest.LogCaptureFixture, lane: bool
) -> None:
    async def fail() -> bytes:
        cache = Cache()
        cache.failing = True
        async with served(tmp_path, lane=lane, features=cache) as opened:
            return await opened.exchange(post(GOOD), post(b"{}", b"Connection: close"))

    assert asyncio.run(fail()).startswith(b"HTTP/1.1 500 ")
    ours = [record for record in caplog.records if record.name.startswith("service.")]
    errors = [record for record in ours if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in errors] == [True, False]
    assert errors[-1].getMessage().startswith("/predict answered 500 internal_error")
    assert [record.request_id for record in errors] == ["mine", "mine"]


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "public"])
def test_refusals_of_a_crowd_are_told_as_one_episode(
    tmp_path: Path, promoted: Artifact, caplog: pytest.LogCaptureFixture, lane: bool
) -> None:
    async def crowd() -> list[bytes]:
        cache = Cache()
        cache.may_go_on.clear()
        async with served(tmp_path, lane=lane, features=cache, max_in_flight=1) as opened:
            first = asyncio.create_task(opened.exchange(post(GOOD), post(b"{}", b"Connection: close")))
            while not cache.asked:
                await asyncio.sleep(0.001)
            pair = post(GOOD) + post(GOOD, b"Connection: close")
            refused = [await opened.exchange(pair) for _ in range(3)]
            cache.may_go_on.set()
            await first
            return refused

    assert all(answers.count(b"HTTP/1.1 429 ") == 2 for answers in asyncio.run(crowd()))
    told = [record.getMessage() for record in caplog.records if record.name == "service.overload"]
    assert told[0] == "overload begins: requests for /predict are refused with 429"
    assert told[1].startswith("overload is over: 6 requests were refused")
    assert len(told) == 2
