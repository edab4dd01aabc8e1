"""Spans of a real service at a receiver, both ways; no trace of it all where no endpoint is named."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from service.spans import Spans
from service.traces import are_wanted, open_traces
from tests.service.in_process import GOOD, Cache, post, served
from tests.service.otlp_receiver import Receiver, Span, receiving
from tests.service.real_server import OURS, ROOT, Server, environment, launch, stop

SERVER, OK, ERROR = 2, 0, 2  # of SpanKind, and of Status in OTLP: unset, error
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
USER, ITEM = "a-user-of-ours", "i3"
STAGES = ["parse", "queue", "features", "encode", "predict", "decode", "answer"]


def ask(
    server: Server, path: str, body: dict | None, request_id: str, method: str = "POST", **headers: str
) -> int:
    """In one piece, on a connection that may stay open, so that a plain question takes the lane."""
    content = b"" if body is None else json.dumps(body).encode()
    told = {"Host": "flyweight", "X-Request-Id": request_id, "Content-Length": str(len(content))} | headers
    if body is not None:
        told["Content-Type"] = "application/json"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode() + content)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        answer.read()
        return answer.status


@pytest.fixture(scope="module")
def received(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """What arrived from a service that has stopped. The SDK sends every 5 s, so the last words are in it too."""
    root = tmp_path_factory.mktemp("traces")
    artifact = tiny.seal(root / "artifacts")
    move_pointer(root / "artifacts", artifact.path)
    with receiving() as receiver:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_RESOURCE_ATTRIBUTES": "deployment=test"}
        server = launch(OURS, root, log=root / "log", **named)
        try:
            history = {"history": [ITEM], "k": 2}
            assert ask(server, "/predict", history, "lane", **TRACED) == 200
            assert ask(server, "/predict", history, "public", **TRACED, Connection="close") == 200
            assert ask(server, "/predict", {"user_id": USER}, "orphan") == 200
            unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
            assert ask(server, "/predict", history, "unsampled", **unsampled) == 200
            assert ask(server, "/predict", history, "broken", traceparent="00-nonsense") == 200
            assert ask(server, "/predict", {"k": 0}, "wrong") == 400
            assert ask(server, f"/users/{USER}", None, "forget", "DELETE") == 202
            assert ask(server, "/status", None, "status", "GET") == 200
            assert ask(server, "/nowhere", None, "nowhere", "GET") == 404
        finally:
            stop(server, signal.SIGTERM)
        assert "error" not in (root / "log").read_text()
        yield receiver


@pytest.mark.parametrize("way", ["lane", "public"])
def test_span_has_its_parent_its_stages_and_the_reason(received: Receiver, way: str) -> None:
    (span,) = received.named(way)
    assert (span.name, span.kind, span.status) == ("POST /predict", SERVER, OK)
    assert (span.trace_id, span.parent_id) == (TRACE, PARENT)
    version = span.attributes.pop("flyweight.model_version")
    assert len(version) == 12
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/predict",
        "flyweight.request_id": way,
        "flyweight.reason": "ok",
        "flyweight.source": "model",
        "flyweight.degraded": False,
        "flyweight.model": "item-to-item",
        "flyweight.variant": "fp32",
        "flyweight.batch_size": 1,
    }
    stages = received.below(span)
    assert [stage.name for stage in stages] == (STAGES if way == "lane" else ["receive", *STAGES])
    for before, after in pairwise(stages):
        assert span.start_ns <= before.start_ns <= before.end_ns == after.start_ns
    assert stages[-1].end_ns <= span.end_ns
    assert span.end_ns - span.start_ns < 20e9
    assert abs(time.time() - span.end_ns / 1e9) < 600


def test_each_request_of_a_route_has_one_server_span(received: Receiver) -> None:
    servers = [span for span in received.spans if span.kind == SERVER]
    assert {span.request_id for span in servers} == {
        "lane", "public", "orphan", "broken", "wrong", "forget", "status",
    }  # fmt: skip
    assert len(servers) == 7  # none of BentoML's, none of health routes, none for what is not there
    assert {span.kind for span in received.spans} == {1, SERVER}


def test_request_without_a_parent_that_can_be_read_begins_a_trace(received: Receiver) -> None:
    for name in ("orphan", "broken"):
        (span,) = received.named(name)
        assert span.parent_id == ""
        assert span.trace_id != TRACE


def test_status_is_an_error_where_the_service_fails_only(received: Receiver) -> None:
    (wrong,) = received.named("wrong")
    assert (wrong.status, wrong.attributes["http.response.status_code"]) == (OK, 400)
    assert "flyweight.reason" not in wrong.attributes
    (orphan,) = received.named("orphan")
    assert orphan.attributes["flyweight.reason"] == "feature_cache_empty"
    assert orphan.attributes["flyweight.degraded"] is True


def test_resource_names_the_service_and_the_worker(received: Receiver) -> None:
    span = received.spans[0]
    assert span.resource["service.name"] == "flyweight"
    assert span.resource["deployment"] == "test"
    assert span.resource["process.pid"] > 1
    assert span.resource["service.instance.id"]


def test_no_span_holds_a_user_or_an_item(received: Receiver) -> None:
    sent = b"".join(received.bodies)
    assert USER.encode() not in sent
    (forget,) = received.named("forget")
    assert forget.name == "DELETE /users/{user_id}"
    assert "url.path" not in forget.attributes
    assert f'"{ITEM}"' not in str([span.attributes for span in received.spans])


def answered_beside(root: Path, url: str, patch: pytest.MonkeyPatch, requests: int = 300) -> tuple[float, float]:
    """Seconds that the slowest answer took, and the end, while spans go to `url`."""
    for name, value in {"MAX_QUEUE_SIZE": "64", "MAX_EXPORT_BATCH_SIZE": "16", "SCHEDULE_DELAY": "10"}.items():
        patch.setenv(f"OTEL_BSP_{name}", value)
    patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    patch.setattr("service.spans._FLUSH_SECONDS", 0.2)

    async def ask_many() -> tuple[float, float]:
        slowest = 0.0
        async with served(root, features=Cache()) as opened:
            assert opened.worker.traces is not None
            for _ in range(requests // 10):
                began = time.monotonic()
                answers = await opened.exchange(post(GOOD) * 9 + post(GOOD, b"Connection: close"))
                slowest = max(slowest, time.monotonic() - began)
                assert answers.count(b"HTTP/1.1 200 ") == 10
            began = time.monotonic()
        return slowest, time.monotonic() - began

    return asyncio.run(ask_many())


def test_receiver_that_is_dead_costs_no_answer(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    slowest, ending = answered_beside(tmp_path, f"http://127.0.0.1:{port}", monkeypatch)
    assert slowest < 1
    assert ending < 2


def test_receiver_that_hangs_costs_no_answer_and_no_more_than_a_moment_at_the_end(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(hangs=True) as receiver:
        slowest, ending = answered_beside(tmp_path, receiver.url, monkeypatch)
        assert receiver.bodies
    assert slowest < 1
    assert ending < 2


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "public"])
def test_failure_and_refusal_are_spans_too(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch, lane: bool
) -> None:
    async def fail() -> None:
        cache = Cache()
        async with served(tmp_path, lane=lane, features=cache, max_in_flight=1) as opened:
            cache.may_go_on.clear()
            first = asyncio.create_task(opened.exchange(post(GOOD), post(b"{}", b"Connection: close")))
            while not cache.asked:
                await asyncio.sleep(0.001)
            assert (await opened.exchange(post(GOOD) + post(GOOD, b"Connection: close"))).count(b" 429 ") == 2
            cache.failing = True
            cache.may_go_on.set()
            assert (await first).startswith(b"HTTP/1.1 500 ")

    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.url + "/v1/traces")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        asyncio.run(fail())

        def outcome(span: Span) -> tuple:
            return span.attributes["http.response.status_code"], span.status, span.attributes.get("error.type")

        found = [outcome(span) for span in receiver.spans]
        assert sorted(found) == [(400, OK, None), (429, OK, None), (429, OK, None), (500, ERROR, "500")]
        assert {span.resource["service.name"] for span in receiver.spans} == {"shop"}


def test_sampler_of_the_environment_holds(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        answered_beside(tmp_path, receiver.url, monkeypatch, requests=20)
        assert receiver.bodies == []


def test_traces_are_wanted_where_an_endpoint_is_named_and_nothing_is_switched_off() -> None:
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert are_wanted(named)
    assert are_wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"})
    assert not are_wanted({})
    assert not are_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    assert not are_wanted(named | {"OTEL_SDK_DISABLED": "TRUE"})
    assert not are_wanted(named | {"OTEL_TRACES_EXPORTER": "none"})


def test_variables_that_cannot_be_used_cost_the_traces_and_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    assert open_traces() is None
    assert "there will be no traces" in caplog.text
    monkeypatch.delenv("OTEL_BSP_MAX_QUEUE_SIZE")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    traces = open_traces()
    assert isinstance(traces, Spans)
    assert "grpc, as a variable asks, is not spoken here" in caplog.text
    asyncio.run(traces.close())


WITHOUT = """
import asyncio, sys
from service import api

async def live() -> None:
    async with api._worker.lifespan(api._app):
        assert api._worker.traces is None

asyncio.run(live())
print([name for name in sys.modules if name.startswith(("opentelemetry.exporter", "service.spans"))])
"""


def test_without_an_endpoint_the_exporter_is_not_even_imported(tmp_path: Path, promoted: Artifact) -> None:
    variables = environment(tmp_path, 1)
    if path := os.environ.get("PYTHONPATH"):
        variables["PYTHONPATH"] = path
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"
