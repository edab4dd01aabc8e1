"""What an inference request may be and what not: each wrong one gets a 400 that says so, and changes nothing."""

import copy
import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from contracts.pointer import move_pointer
from contracts.sections import Paths, Service, Settings
from service.app import create_app
from service.worker import Worker
from tests.service.bad_infers import EXCLUDED, GOOD, HISTORY, WRONG, K, Wrong
from tests.service.in_process import Cache, no_redis

INFER = "/v2/models/item-to-item/infer"


@pytest.fixture(scope="module")
def client(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    artifacts = tmp_path_factory.mktemp("inferring") / "artifacts"
    move_pointer(artifacts, tiny.seal(artifacts).path)
    settings = Settings(paths=Paths(artifacts=artifacts), service=Service(deadline_ms=3000))
    with TestClient(create_app(Worker(settings, Cache(), no_redis()))) as client:
        yield client


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_wrong_request_is_a_400_that_says_what_is_wrong(client: TestClient, wrong: Wrong) -> None:
    refused(client.post(INFER, content=wrong.sent()), 400, wrong.said)
    assert client.post(INFER, json=GOOD).status_code == 200


def refused(response, status: int, said: str) -> None:
    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert said in response.json()["error"]
    assert len(response.content) < 2048


def raw(request: dict = GOOD, *, sizes: dict[int, int] | None = None) -> tuple[bytes, list[bytes]]:
    """The same with the numbers behind the JSON; `sizes`: other lengths than the true ones."""
    request, behind = copy.deepcopy(request), []
    for place, tensor in enumerate(request["inputs"]):
        dtype = {"INT32": "<i4", "INT64": "<i8"}[tensor["datatype"]]
        behind.append(np.array(tensor.pop("data"), dtype).tobytes())
        tensor["parameters"] = {"binary_data_size": (sizes or {}).get(place, len(behind[-1]))}
    return json.dumps(request).encode(), behind


def post_raw(client: TestClient, head: bytes, behind: bytes, length: object = None, **headers: str):
    headers["Inference-Header-Content-Length"] = str(len(head) if length is None else length)
    return client.post(INFER, content=head + behind, headers=headers)


def test_raw_numbers_are_read_like_those_in_json(client: TestClient) -> None:
    head, behind = raw()
    response = post_raw(client, head, b"".join(behind))
    assert response.json() == client.post(INFER, json=GOOD).json()
    assert response.json()["id"] == "mine"


def test_nothing_to_exclude_is_said_in_the_way_of_each_client(client: TestClient) -> None:
    request = copy.deepcopy(GOOD)
    request["inputs"][EXCLUDED] |= {"shape": [2, 0], "data": []}
    found = client.post(INFER, json=request)
    assert found.json()["outputs"][0]["shape"] == [2, 2]
    head, behind = raw(request)
    assert post_raw(client, head, b"".join(behind)).json() == found.json()
    of_kserve = head.replace(b'{"binary_data_size": 0}', b'{"binary_data_size": 0}, "data": null')
    assert of_kserve != head
    assert post_raw(client, of_kserve, b"".join(behind)).json() == found.json()


@pytest.mark.parametrize(
    ("sizes", "cut", "more", "said"),
    [
        ({HISTORY: 31}, 0, b"", "binary_data_size is 31; INT32 [2, 4] has 32 bytes"),
        ({HISTORY: 0}, 0, b"", "binary_data_size is 0; INT32"),
        ({HISTORY: 2**60}, 0, b"", "binary_data_size is 1152921504606846976"),
        ({HISTORY: -32}, 0, b"", "binary_data_size: expected `int` >= 0"),
        ({}, 1, b"", "input k: binary_data_size is 8, but 7 bytes are left"),
        ({}, 9, b"", "input excluded: binary_data_size is 8, but 7 bytes are left"),
        ({}, 0, b"x", "1 more bytes; expected none"),
    ],
)
def test_raw_numbers_of_another_length_are_refused(
    client: TestClient, sizes: dict[int, int], cut: int, more: bytes, said: str
) -> None:
    head, behind = raw(sizes=sizes)
    numbers = b"".join(behind)
    refused(post_raw(client, head, numbers[: len(numbers) - cut] + more), 400, said)


@pytest.mark.parametrize("length", ["", "-1", "1.5", "abc", "1e3", "9" * 5000, 10**6, "٣"])
def test_length_of_the_json_that_is_none_is_refused(client: TestClient, length: object) -> None:
    head, behind = raw()
    headers = {b"Inference-Header-Content-Length": str(length).encode()}
    refused(
        client.post(INFER, content=head + b"".join(behind), headers=headers), 400, "expected bytes of the body"
    )


@pytest.mark.parametrize(("off", "said"), [(-1, "not valid JSON"), (1, "not valid"), (-(10**9), "is empty")])
def test_length_of_the_json_that_is_wrong_is_refused(client: TestClient, off: int, said: str) -> None:
    head, behind = raw()
    refused(post_raw(client, head, b"".join(behind), max(len(head) + off, 0)), 400, said)


def test_raw_numbers_without_the_length_of_the_json_are_refused(client: TestClient) -> None:
    head, behind = raw()
    refused(client.post(INFER, content=head + b"".join(behind)), 400, "the body is not valid")
    refused(client.post(INFER, content=head), 400, "0 bytes are left behind the JSON")


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (415, {"content-type": "text/plain"}, "text/plain; expected application/json or application/octet-stream"),
        (415, {"content-encoding": "gzip"}, "Content-Encoding is gzip; expected none"),
    ],
)
def test_body_of_another_kind_is_refused(client: TestClient, status: int, headers: dict, said: str) -> None:
    refused(client.post(INFER, content=json.dumps(GOOD), headers=headers), status, said)


def test_body_beyond_the_limit_is_a_413(client: TestClient) -> None:
    refused(client.post(INFER, content=b" " * 1_048_577), 413, "more than 1048576 bytes, the limit")


@pytest.mark.parametrize("seed", range(4))
def test_broken_bytes_are_never_a_fault_of_the_service(client: TestClient, seed: int) -> None:
    dice = random.Random(seed)
    head, behind = raw()
    whole = head + b"".join(behind)
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(dice.choice([1, 1, 2, 8])):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        response = post_raw(client, bytes(broken[: len(head)]), bytes(broken[len(head) :]))
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert set(response.json()) == {"error"}


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": GOOD["inputs"][::-1]},
        {"outputs": []},
        {"parameters": {}},
        {"model_name": "item-to-item"},
        {"outputs": [{"name": "items"}, {"name": "scores", "parameters": {"binary_data": False}}]},
        {"parameters": {"binary_data_output": False}},
    ],
    ids=["another order", "no outputs named", "no parameters", "the name", "outputs named", "not raw"],
)
def test_right_request_is_answered_alike_however_it_is_written(client: TestClient, change: dict) -> None:
    assert client.post(INFER, json=GOOD | change).json() == client.post(INFER, json=GOOD).json()


def test_outputs_come_as_they_are_asked_for(client: TestClient) -> None:
    only = client.post(INFER, json=GOOD | {"outputs": [{"name": "scores"}]}).json()
    assert [output["name"] for output in only["outputs"]] == ["scores"]
    both = [{"name": "scores", "parameters": {"binary_data": True}}, {"name": "items"}]
    response = client.post(INFER, json=GOOD | {"outputs": both})
    length = int(response.headers["inference-header-content-length"])
    assert response.headers["content-type"] == "application/octet-stream"
    scores, items = json.loads(response.content[:length])["outputs"]
    assert scores == {
        "name": "scores",
        "datatype": "FP32",
        "shape": [2, 2],
        "parameters": {"binary_data_size": 16},
    }
    assert np.frombuffer(response.content[length:], "<f4").tolist() == only["outputs"][0]["data"]
    assert items["data"][:2] == [1, 2]


def test_largest_request_is_answered(client: TestClient) -> None:
    rows, m = 64, 2000
    request = copy.deepcopy(GOOD)
    request["inputs"][HISTORY] |= {"shape": [rows, 4], "data": [0] * (4 * rows)}
    request["inputs"][EXCLUDED] |= {"shape": [rows, m], "data": [-1] * (rows * m)}
    request["inputs"][K]["data"] = [8]
    head, behind = raw(request)
    answer = post_raw(client, head, b"".join(behind)).json()
    assert [output["shape"] for output in answer["outputs"]] == [[64, 8], [64, 8]]


def test_excluded_item_has_the_least_score_there_is(client: TestClient) -> None:
    request = copy.deepcopy(GOOD)
    request["inputs"][K]["data"] = [8]
    items, scores = (output["data"] for output in client.post(INFER, json=request).json()["outputs"])
    least = float(np.finfo(np.float32).min)
    assert (items[7], scores[7]) == (0, least)  # what the first row excludes
    assert least not in scores[8:]
