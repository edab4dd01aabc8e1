"""The routes of one worker, in process."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.testclient import TestClient

from contracts.artifact import Artifact
from contracts.sections import Paths, Service, Settings
from service.app import create_app
from service.batching import Batcher
from service.errors import ERRORS
from service.feature_cache import InMemoryFeatureCache
from service.inference_protocol.paths import is_of_protocol
from service.routes import ROUTES
from service.worker import Worker
from tests.service.in_process import no_redis

JSON = {"content-type": "application/json"}


def make_worker(root: Path, **limits: int) -> Worker:
    paths = Paths(artifacts=root / "artifacts", bundle=root / "bundle")
    limits = {"deadline_ms": 3000} | limits
    settings = Settings(paths=paths, service=Service(max_body_bytes=4096, body_timeout_ms=100, **limits))
    return Worker(settings, InMemoryFeatureCache({"u1": np.array([10])}), no_redis())


@pytest.fixture
def client(tmp_path: Path, promoted: Artifact) -> Iterator[TestClient]:
    with TestClient(create_app(make_worker(tmp_path))) as client:
        yield client


def assert_error(response, status: int, field: str | None = None) -> None:
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"code", "message", "field"}
    assert body["error"]["field"] == field
    assert body["error"]["code"] in {error.code for error in ERRORS if error.status == status}
    assert body["request_id"] == response.headers["x-request-id"]


def test_known_user_is_answered_by_the_model(client: TestClient, promoted: Artifact) -> None:
    response = client.post("/predict", json={"user_id": "u1", "k": 2}, headers={"x-request-id": "mine-7"})
    assert response.status_code == 200
    assert response.json() == {
        "request_id": "mine-7",
        "items": [{"item_id": "i1", "score": 0.5}, {"item_id": "i2", "score": 0.25}],
        "model": {"name": "item-to-item", "variant": "fp32", "version": promoted.version},
        "source": "model",
        "reason": "ok",
        "degraded": False,
    }
    assert response.headers["x-request-id"] == "mine-7"
    assert response.headers["x-model-version"] == promoted.version
    assert response.headers["x-variant"] == "fp32"


@pytest.mark.parametrize("given", ["", "x" * 129, "with space", "tab\tbed"])
def test_request_id_that_is_not_sane_is_replaced(client: TestClient, given: str) -> None:
    response = client.post("/predict", json={"user_id": "u1"}, headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


def test_wrong_body_is_a_400_that_names_the_field_and_leaves_no_traceback(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert_error(client.post("/predict", json={"user_id": "u1", "k": "7"}), 400, "k")
    assert_error(client.post("/predict", content=b"{", headers=JSON), 400)
    assert not [record for record in caplog.records if record.name.startswith("service")]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_content_type_is_a_415(client: TestClient, content_type: str) -> None:
    response = client.post("/predict", content=b'{"user_id": "u1"}', headers={"content-type": content_type})
    assert_error(response, 415)


def test_content_type_may_carry_a_charset(client: TestClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/predict", content=b'{"user_id": "u1"}', headers=headers).status_code == 200


@pytest.mark.parametrize("given", ["1", "100", "007", "3000", "60000", "9" * 400])
def test_deadline_may_be_any_number_from_one(client: TestClient, given: str) -> None:
    response = client.post("/predict", json={"history": []}, headers={"x-deadline-ms": given})
    assert response.json()["reason"] == "cold_user"


@pytest.mark.parametrize("given", ["0", "000", "-5", "1.5", "1e3", "", "soon", "\xb2", "1 2"])
def test_deadline_that_is_no_number_is_a_400_that_names_the_header(client: TestClient, given: str) -> None:
    headers = {"x-deadline-ms": given.encode("latin-1")}
    response = client.post("/predict", json={"user_id": "u1"}, headers=headers)
    assert_error(response, 400, "X-Deadline-Ms")


def test_body_over_the_limit_is_a_413_announced_or_in_chunks(client: TestClient) -> None:
    body = b'{"user_id": "u1"}' + b" " * 4096
    assert_error(client.post("/predict", content=body, headers=JSON), 413)
    assert_error(client.post("/predict", content=iter([body[:9], body[9:]]), headers=JSON), 413)


def test_announced_length_that_no_number_holds_is_a_413(client: TestClient) -> None:
    headers = JSON | {"content-length": "9" * 5000}
    assert_error(client.post("/predict", content=b"{}", headers=headers), 413)


@pytest.mark.parametrize("path", ["/nope", "/predict/", "/predict/x", "/docs.json", "/%00"])
def test_unknown_path_is_a_404(client: TestClient, path: str) -> None:
    assert_error(client.get(path), 404)


@pytest.mark.parametrize("path", list(ROUTES))
def test_wrong_method_is_a_405_that_says_the_right_one(client: TestClient, path: str) -> None:
    response = client.put(path)
    assert response.headers["allow"] == ROUTES[path]
    if is_of_protocol(path):
        assert (response.status_code, set(response.json())) == (405, {"error"})
    else:
        assert_error(response, 405)


def test_status_tells_artifact_features_and_versions(client: TestClient, promoted: Artifact) -> None:
    status = client.get("/status").json()
    assert status["artifact"]["version"] == promoted.version
    assert status["artifact"]["items"] == 8
    assert status["features"] == {"state": "up", "breaker": "closed"}
    assert status["degraded"] is False
    assert {"python", "bentoml", "onnxruntime"} <= set(status["versions"])


def test_openapi_document_is_valid_and_describes_every_route(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    validate(document)
    described = {path: next(iter(methods)).upper() for path, methods in document["paths"].items()}
    assert described == ROUTES


def test_metrics_are_ours_with_closed_labels(client: TestClient, promoted: Artifact) -> None:
    client.get("/scan-1")
    client.get("/scan-2")
    client.post("/predict", json={"user_id": "nobody"})
    text = client.get("/metrics").text
    assert 'flyweight_request_duration_seconds_count{code="404",route="other",variant="fp32"}' in text
    assert 'flyweight_stage_duration_seconds_count{stage="predict"}' in text
    assert 'flyweight_fallbacks_total{reason="cold_user"}' in text
    assert f'version="{promoted.version}"}} 1.0' in text
    assert "scan" not in text
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert all(name.startswith("flyweight_") for name in names)


def test_index_names_what_serves(client: TestClient, promoted: Artifact) -> None:
    assert f"item-to-item:fp32 {promoted.version}" in client.get("/").text


def test_too_many_at_once_get_a_429_with_retry_after(tmp_path: Path, promoted: Artifact) -> None:
    worker = make_worker(tmp_path, max_in_flight=2)
    statuses = asyncio.run(call_at_once(worker, 5))
    assert sorted(status for status, _ in statuses) == [200, 200, 429, 429, 429]
    assert all((b"retry-after", b"1") in headers for status, headers in statuses if status == 429)


def test_crowd_that_still_sends_its_bodies_counts_and_room_comes_back(tmp_path: Path, promoted: Artifact) -> None:
    async def scenario() -> list[int]:
        app = create_app(worker)
        body = {"type": "http.request", "body": b'{"user_id": "u1"}'}
        slow = {"type": "http.request", "body": b'{"user_id"', "more_body": True}
        async with worker.lifespan(app):
            sending = [asyncio.create_task(call_predict(app, [slow])) for _ in range(2)]
            await asyncio.sleep(0)
            refused, _ = await call_predict(app, [body])
            timed_out = [status for status, _ in await asyncio.gather(*sending)]
            return [refused, *timed_out, (await call_predict(app, [body]))[0]]

    worker = make_worker(tmp_path, max_in_flight=2)
    assert asyncio.run(scenario()) == [429, 408, 408, 200]


def test_answer_that_takes_too_long_is_a_504_in_our_shape(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Batcher, question: object, asker: object, now: float) -> None:
        pass

    monkeypatch.setattr("service.worker.ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(Batcher, "submit", never)
    with TestClient(create_app(make_worker(tmp_path))) as client:
        response = client.post("/predict", json={"user_id": "u1"})
    assert_error(response, 504)
    assert response.json()["error"]["code"] == "expired"


def test_timeout_that_is_not_the_answers_own_is_a_bug(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Batcher, question: object, asker: object, now: float) -> None:
        raise TimeoutError

    monkeypatch.setattr(Batcher, "submit", fail)
    assert_error(client.post("/predict", json={"user_id": "u1"}), 500)


async def call_predict(app: Starlette, messages: list[dict]) -> tuple[int, list]:
    """Status and headers of the answer; 0 where there was none."""
    sent = []

    async def receive() -> dict:
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    await app({"type": "http", "method": "POST", "path": "/predict", "headers": headers}, receive, send)
    return (sent[0]["status"], sent[0]["headers"]) if sent else (0, [])


async def call_at_once(worker: Worker, calls: int) -> list[tuple[int, list]]:
    app = create_app(worker)
    body = {"type": "http.request", "body": b'{"user_id": "u1"}'}
    slow = {"type": "http.request", "body": b'{"user_id"', "more_body": True}
    gone = [slow, {"type": "http.disconnect"}]
    async with worker.lifespan(app):
        if calls == 1:
            return [await call_predict(app, [slow]), await call_predict(app, gone)]
        return await asyncio.gather(*(call_predict(app, [body]) for _ in range(calls)))


def test_body_that_does_not_arrive_is_a_408_and_a_client_that_left_gets_nothing(
    tmp_path: Path, promoted: Artifact
) -> None:
    (slow, _), (gone, _) = asyncio.run(call_at_once(make_worker(tmp_path), 1))
    assert slow == 408
    assert gone == 0


def test_bug_is_a_500_in_the_same_shape(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raise_error(body: bytes) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("service.worker.parse_predict", raise_error)
    assert_error(client.post("/predict", json={"user_id": "u1"}), 500)
    assert "a bug" in caplog.text
