"""The Open Inference Protocol, asked by Triton's own client of a real service, and by hand in process."""

import asyncio
import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from starlette.testclient import TestClient
from tritonclient.utils import InferenceServerException

from contracts.artifact import Artifact
from contracts.encoding import PADDING
from contracts.pointer import move_pointer
from contracts.sections import Paths, Service, Settings
from service.api_keys import hash_of
from service.app import create_app
from service.inference_protocol import answering
from service.inference_protocol.paths import PATHS
from service.predictor import OnnxPredictor
from service.worker import Worker
from tests.service.bad_infers import GOOD
from tests.service.conftest import ITEM_IDS
from tests.service.in_process import JSON, LAST, Cache, no_redis, post, served
from tests.service.real_server import OURS, Server, launch, stop

MODEL = "item-to-item"
INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("protocol")
    move_pointer(root / "artifacts", tiny.seal(root / "artifacts").path)
    server = launch(OURS, root)
    yield server
    stop(server, signal.SIGKILL)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as client:
        yield client


def encoded(
    histories: list[list[str]], catalog: list[str], *, k: int, raw: bool = True
) -> list[triton.InferInput]:
    """As docs/inference-protocol.md says it; seen items are not to be answered."""
    length = 4
    known = [[catalog.index(item) for item in history if item in catalog] for history in histories]
    history = np.array([([PADDING] * length + items)[-length:] for items in known], np.int32)
    most = max(map(len, known))
    excluded = np.array([items + [PADDING] * (most - len(items)) for items in known], np.int32)
    inputs = []
    for name, array in (("history", history), ("excluded", excluded), ("k", np.array([k]))):
        datatype = "INT64" if array.dtype == np.int64 else "INT32"
        inputs.append(triton.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=raw)
    return inputs


def test_client_finds_server_and_model(client: triton.InferenceServerClient, server: Server) -> None:
    version = server.call("/status")[1]["artifact"]["version"]
    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata()["name"] == "flyweight"
    assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, version)
    assert not client.is_model_ready("sasrec") and not client.is_model_ready(MODEL, "0123456789ab")
    assert client.get_model_repository_index()[0] | {"reason": ""} == {
        "name": MODEL, "version": version, "state": "READY", "reason": "",
    }  # fmt: skip
    metadata = client.get_model_metadata(MODEL)
    assert metadata == client.get_model_metadata(MODEL, version)
    assert (metadata["versions"], metadata["platform"]) == ([version], "onnx_onnxv1")
    assert metadata["inputs"] == [
        {"name": "history", "datatype": "INT32", "shape": [-1, 4]},
        {"name": "excluded", "datatype": "INT32", "shape": [-1, -1]},
        {"name": "k", "datatype": "INT64", "shape": [1]},
    ]
    assert [(each["name"], each["datatype"]) for each in metadata["outputs"]] == [
        ("items", "INT64"),
        ("scores", "FP32"),
    ]
    config = client.get_model_config(MODEL)
    assert config["input"][0] == {"name": "history", "data_type": "TYPE_INT32", "dims": [-1, 4]}


@pytest.mark.parametrize(("raw_in", "raw_out"), list(itertools.product([True, False], repeat=2)))
def test_answer_is_the_one_of_predict(
    client: triton.InferenceServerClient, server: Server, raw_in: bool, raw_out: bool
) -> None:
    metadata = client.get_model_metadata(MODEL)
    catalog = server.call(metadata["parameters"]["catalog"])[1]["item_ids"]
    histories = [["i0"], ["i1", "unknown", "i5"], ["i2", "i3", "i4", "i5", "i6"]]
    inputs = encoded(histories, catalog, k=3, raw=raw_in)
    outputs = [triton.InferRequestedOutput(name, binary_data=raw_out) for name in ("items", "scores")]
    found = client.infer(MODEL, inputs, metadata["versions"][0], outputs=outputs, request_id="mine")
    assert found.get_response()["id"] == "mine"
    assert found.get_response()["model_version"] == metadata["versions"][0]
    for history, items, scores in zip(histories, found.as_numpy("items"), found.as_numpy("scores"), strict=True):
        answer = server.call("/predict", {"history": history, "k": 3, "seen": "mask"})[1]["items"]
        kept = [(catalog[i], float(s)) for i, s in zip(items, scores, strict=True) if s > np.finfo(np.float32).min]
        assert kept == [(item["item_id"], item["score"]) for item in answer]


def test_client_that_asks_for_no_output_in_particular_gets_all_raw(client: triton.InferenceServerClient) -> None:
    found = client.infer(MODEL, encoded([["i0"]], ITEM_IDS, k=8))
    assert found.as_numpy("items").tolist()[0][:3] == [1, 2, 3]
    assert found.as_numpy("scores")[0, 7] == -np.inf  # what was excluded


def test_many_at_once_get_their_own_answers(client: triton.InferenceServerClient) -> None:
    asked = [
        client.async_infer(MODEL, encoded([[f"i{number % 8}"]], ITEM_IDS, k=1), request_id=str(number))
        for number in range(40)
    ]
    for number, request in enumerate(asked):
        found = request.get_result()
        assert found.get_response()["id"] == str(number)
        assert found.as_numpy("items").tolist() == [[(number + 1) % 8]]


def test_what_is_wrong_reaches_the_client_in_our_words(client: triton.InferenceServerClient) -> None:
    good = encoded([["i0"]], ITEM_IDS, k=1)
    with pytest.raises(InferenceServerException, match="there is no model 'sasrec'; there is item-to-item"):
        client.infer("sasrec", good)
    with pytest.raises(
        InferenceServerException, match=r"item-to-item has no version '7' here; there is [0-9a-f]{12}"
    ):
        client.get_model_metadata(MODEL, "7")
    with pytest.raises(
        InferenceServerException, match="inputs: without excluded, k; expected history, excluded, k"
    ) as error:
        client.infer(MODEL, good[:1])
    assert error.value.status() == "400"
    good[2].set_data_from_numpy(np.array([9]))
    with pytest.raises(InferenceServerException, match="input k: there is 9; expected 1 to 8"):
        client.infer(MODEL, good)
    with pytest.raises(InferenceServerException, match="Content-Encoding is gzip; expected none"):
        client.infer(MODEL, good, request_compression_algorithm="gzip")


def test_what_is_not_there_says_so_in_the_shape_of_the_protocol(client: triton.InferenceServerClient) -> None:
    for ask in (client.get_trace_settings, client.get_log_settings, client.get_system_shared_memory_status):
        with pytest.raises(InferenceServerException, match="there is nothing at this path; there is /v2, "):
            ask()
    with pytest.raises(InferenceServerException, match="nothing at this path"):
        client.load_model(MODEL)


def worker_of(root: Path, **limits: object) -> Worker:
    paths = Paths(artifacts=root / "artifacts", bundle=root / "bundle")
    return Worker(Settings(paths=paths, service=Service(**{"deadline_ms": 3000} | limits)), Cache(), no_redis())


@pytest.mark.parametrize("path", PATHS)
def test_request_id_comes_back_and_metrics_name_the_path_as_it_is_written_here(
    tmp_path: Path, promoted: Artifact, path: str
) -> None:
    with TestClient(create_app(worker_of(tmp_path))) as client:
        url = path.format(model=MODEL, version=promoted.version)
        response = client.request(PATHS[path], url, headers={"x-request-id": "mine"}, content=json.dumps(GOOD))
        assert (response.status_code, response.headers["x-request-id"]) == (200, "mine")
        assert f'code="200",route="{path}"' in client.get("/metrics").text


def test_keys_are_asked_for_and_refused_in_the_shape_of_the_protocol(tmp_path: Path, promoted: Artifact) -> None:
    with TestClient(create_app(worker_of(tmp_path, api_keys=(hash_of("asking"),)))) as client:
        assert [client.get(f"/v2/health/{which}").status_code for which in ("live", "ready")] == [200, 200]
        refused = client.post(INFER, json=GOOD)
        assert (refused.status_code, set(refused.json())) == (401, {"error"})
        assert refused.headers["www-authenticate"] == "Bearer"
        assert client.post(INFER, json=GOOD, headers={"authorization": "Bearer asking"}).status_code == 200


def test_crowd_is_refused_in_the_shape_of_the_protocol(tmp_path: Path, promoted: Artifact) -> None:
    worker = worker_of(tmp_path, max_in_flight=1)
    with TestClient(create_app(worker)) as client:
        worker.batcher.enter()
        refused = client.post(INFER, json=GOOD)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "1 requests are in this worker" in refused.json()["error"]
        worker.batcher.leave()
        assert client.post(INFER, json=GOOD).status_code == 200
        assert not worker.batcher.is_busy()


def test_worker_that_stops_is_live_and_not_ready(tmp_path: Path, promoted: Artifact, monkeypatch) -> None:
    worker = worker_of(tmp_path)
    with TestClient(create_app(worker)) as client:
        monkeypatch.setattr(worker.drain, "is_on", True)
        assert client.get("/v2/health/live").status_code == 200
        response = client.get("/v2/health/ready")
        assert (response.status_code, set(response.json())) == (503, {"error"})


def test_model_that_takes_too_long_is_a_504(tmp_path: Path, promoted: Artifact) -> None:
    worker = worker_of(tmp_path)
    worker.answer_deadline.seconds = 0.1
    with TestClient(create_app(worker)) as client:
        worker.batcher.run_between = lambda work, rows: asyncio.sleep(60)
        response = client.post(INFER, json=GOOD)
        assert (response.status_code, set(response.json())) == (504, {"error"})
        assert not worker.batcher.is_busy()


def test_model_that_fails_is_a_500_that_tells_nothing(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("onnxruntime says /secret/path")

    with TestClient(create_app(worker_of(tmp_path))) as client:
        monkeypatch.setattr(OnnxPredictor, "predict", fail)
        response = client.post(INFER, json=GOOD)
        assert (response.status_code, set(response.json())) == (500, {"error"})
        assert "secret" not in response.text


def test_version_that_no_longer_serves_is_a_404(tiny, tmp_path: Path, promoted: Artifact) -> None:
    worker = worker_of(tmp_path, pointer_check_ms=10**6)
    pinned = f"/v2/models/{MODEL}/versions/{promoted.version}"
    with TestClient(create_app(worker)) as client:
        assert client.post(f"{pinned}/infer", json=GOOD).json()["model_version"] == promoted.version
        other = tiny.seal(tmp_path / "artifacts", variant="fp16")
        move_pointer(tmp_path / "artifacts", other.path)
        client.portal.call(worker.rollout.check)
        for end in ("", "/ready", "/config", "/catalog"):
            assert client.get(pinned + end).status_code == 404
        response = client.post(f"{pinned}/infer", json=GOOD)
        assert (response.status_code, set(response.json())) == (404, {"error"})
        assert client.post(INFER, json=GOOD).json()["model_version"] == other.version


def test_answer_comes_from_one_artifact_though_another_is_promoted_between_its_slices(
    tiny, tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(tmp_path, pointer_check_ms=10**6)
    predict, versions = OnnxPredictor.predict, []

    def promote_and_predict(predictor: OnnxPredictor, *arguments: object):
        versions.append(predictor.artifact.version)
        if len(versions) == 1:
            worker.rollout.boot()
        return predict(predictor, *arguments)

    with TestClient(create_app(worker)) as client:
        other = tiny.seal(tmp_path / "artifacts", variant="fp16", make_probes=lambda path: [])
        move_pointer(tmp_path / "artifacts", other.path)
        worker.pace.max_batch = 1
        monkeypatch.setattr(OnnxPredictor, "predict", promote_and_predict)
        answer = client.post(INFER, json=GOOD).json()
        assert versions == [promoted.version] * 2
        assert answer["model_version"] == promoted.version
        assert client.get(f"/v2/models/{MODEL}").json()["versions"] == [other.version]


def test_catalog_comes_in_pages(tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "CATALOG_PAGE", 3)
    with TestClient(create_app(worker_of(tmp_path))) as client:
        url = client.get(f"/v2/models/{MODEL}").json()["parameters"]["catalog"]
        ids = []
        while page := client.get(url, params={"first": len(ids)}).json()["item_ids"]:
            ids += page
        assert ids == ITEM_IDS
        assert client.get(url).json()["items"] == len(ITEM_IDS)
        for wrong in ("-1", "x", "", "1.0", "9" * 16, "٣"):
            response = client.get(url, params={"first": wrong})
            assert (response.status_code, set(response.json())) == (400, {"error"})


@pytest.mark.parametrize("lane", [True, False], ids=["behind the shortcut", "without it"])
def test_protocol_is_answered_whether_the_shortcut_is_taken_or_not(
    tmp_path: Path, promoted: Artifact, lane: bool
) -> None:
    async def ask() -> bytes:
        async with served(tmp_path, lane=lane) as opened:
            line = f"POST {INFER} HTTP/1.1".encode()
            answer = await opened.exchange(post(json.dumps(GOOD).encode(), line=line, kind=JSON), LAST)
            assert opened.lane_answers == 0
            return answer

    answer = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"outputs":[{"name":"items","datatype":"INT64","shape":[2,2],"data":[1,2,' in answer
