"""Who may ask what, both ways, and that no key is shown."""

import asyncio
import json
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from contracts.artifact import Artifact
from contracts.client_key import KEY_VARIABLE, key_headers
from contracts.faults import SettingsFault
from contracts.pointer import move_pointer
from contracts.sections import Paths, Service, Settings
from contracts.settings import read_settings
from flyweight.asking import ask_all
from service import api_keys
from service.api_keys import ApiKeys, exposure, hash_of, new_key
from service.app import create_app
from service.doorway import HEALTH
from service.errors import Forbidden, Unauthorized
from service.exchange import Endpoint, Exchange, Reply
from service.routes import NEEDS, ROUTES
from service.serving import server_environment
from service.worker import Worker
from tests.service.in_process import GOOD, LAST, Cache, no_redis, post, served
from tests.service.real_server import OURS, launch, stop

ASKING, ROTATED, ADMIN = new_key(), new_key(), new_key()
KEYS = {"api_keys": (hash_of(ASKING), hash_of(ROTATED)), "admin_keys": (hash_of(ADMIN),)}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def client_of(root: Path, **keys: tuple[str, ...]) -> TestClient:
    paths = Paths(artifacts=root / "artifacts", bundle=root / "bundle")
    return TestClient(create_app(Worker(Settings(paths=paths, service=Service(**keys)), Cache(), no_redis())))


def test_every_route_of_ours_says_which_key_it_asks_for() -> None:
    assert set(NEEDS) == set(ROUTES) - set(HEALTH)


@pytest.mark.parametrize("path", [path for path, needs in NEEDS.items() if needs != "none"])
def test_route_takes_the_keys_that_hold_and_no_others(tmp_path: Path, promoted: Artifact, path: str) -> None:
    method = ROUTES[path].split(",")[0]
    with client_of(tmp_path, **KEYS) as client:

        def status(headers: dict[str, str]) -> int:
            return client.request(method, path, headers=headers).status_code

        if NEEDS[path] == "none":
            assert status({}) == status(bearer("wrong")) == status(bearer(ASKING)) not in (401, 403)
            return
        for wrong in ({}, bearer("wrong"), {"authorization": ASKING}, {"authorization": f"Basic {ASKING}"}):
            assert status(wrong) == 401
        assert status(bearer("")) == 401
        assert status(bearer(ADMIN)) not in (401, 403)
        for key in (ASKING, ROTATED):
            assert (status(bearer(key)) == 403) == (NEEDS[path] == "admin")
            assert status({"authorization": f"bearer   {key} "}) == status(bearer(key))


def test_without_keys_everyone_may_ask(tmp_path: Path, promoted: Artifact) -> None:
    with client_of(tmp_path) as client:
        assert client.get("/status").status_code == 200
        assert client.post("/predict", json={"user_id": "u1"}, headers=bearer("any")).status_code == 200


def test_with_admin_keys_alone_asking_takes_one_too(tmp_path: Path, promoted: Artifact) -> None:
    with client_of(tmp_path, admin_keys=KEYS["admin_keys"]) as client:
        assert client.get("/status").status_code == 401
        assert client.get("/status", headers=bearer(ADMIN)).status_code == 200


def test_refusal_has_the_one_shape_and_says_how_to_ask(tmp_path: Path, promoted: Artifact) -> None:
    with client_of(tmp_path, **KEYS) as client:
        response = client.post("/predict", json={"user_id": "u1"})
    assert response.headers["www-authenticate"] == "Bearer"
    body = response.json()
    assert set(body) == {"error", "request_id"}
    assert body["error"]["code"] == "unauthorized"
    assert "Authorization: Bearer" in body["error"]["message"]


def test_admin_route_tells_an_api_key_from_an_unknown_one() -> None:
    gate = ApiKeys(KEYS["api_keys"], KEYS["admin_keys"]).gate("admin")
    gate(f"Bearer {ADMIN}".encode())
    with pytest.raises(Forbidden):
        gate(f"Bearer {ASKING}".encode())
    with pytest.raises(Unauthorized):
        gate(b"Bearer other")


def test_without_admin_keys_nobody_passes_an_admin_route_once_there_are_keys() -> None:
    with pytest.raises(Forbidden):
        ApiKeys(KEYS["api_keys"]).gate("admin")(f"Bearer {ASKING}".encode())
    assert ApiKeys().gate("admin") is None


def test_refused_before_the_body_is_read() -> None:
    async def receive() -> dict:
        raise AssertionError("the body was read")

    async def answer(exchange: Exchange) -> Reply:
        raise AssertionError("the route was asked")

    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    endpoint = Endpoint(
        "/predict",
        answer,
        SimpleNamespace(variant=lambda: "fp32", traces=None),
        ApiKeys(KEYS["api_keys"]).gate("api"),
    )
    asyncio.run(endpoint({"type": "http", "headers": []}, receive, send))
    assert sent[0]["status"] == 401


def test_every_known_key_is_compared_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(api_keys.hmac, "compare_digest", compare)
    gate = ApiKeys(KEYS["api_keys"], KEYS["admin_keys"]).gate("api")
    for key in (ASKING, ROTATED, ADMIN):
        gate(f"Bearer {key}".encode())
    with pytest.raises(Unauthorized):
        gate(b"Bearer other")
    assert len(compared) == 4 * 3


@pytest.mark.parametrize(
    ("header", "is_plain"),
    [
        (f"Authorization: Bearer {ASKING}", True),
        (f"Authorization: bearer {ADMIN}", True),
        ("Authorization: Bearer other", False),
        ("X-Other: 1", False),
    ],
    ids=["an api key", "an admin key", "another key", "no key"],
)
def test_both_ways_refuse_and_admit_alike(
    tmp_path: Path, promoted: Artifact, caplog: pytest.LogCaptureFixture, header: str, is_plain: bool
) -> None:
    async def ask(lane: bool) -> tuple[bytes, int]:
        async with served(tmp_path, lane=lane, **KEYS) as opened:
            answer = await opened.exchange(post(GOOD, header.encode()), LAST)
            return re.sub(rb"x-request-id: [0-9a-f]{16}", b"", answer), opened.lane_answers

    caplog.set_level("DEBUG")
    public, _ = asyncio.run(ask(lane=False))
    found, by_lane = asyncio.run(ask(lane=True))
    assert found == public
    assert found.startswith(b"HTTP/1.1 200" if is_plain else b"HTTP/1.1 401")
    assert by_lane == int(is_plain)
    assert not any(key in caplog.text for key in (ASKING, ADMIN))


@pytest.mark.parametrize("given", ['["{key}"]', '"{key}"', "{key}", '["sha256:{key}"]', '["{hash}", "{key}"]'])
def test_key_in_the_place_of_its_hash_is_refused_and_not_shown(given: str) -> None:
    text = given.replace("{key}", ASKING).replace("{hash}", hash_of(ASKING))
    with pytest.raises(SettingsFault) as refused:
        read_settings(environ={"FLYWEIGHT_SERVICE_API_KEYS": text})
    assert ASKING not in str(refused.value)
    assert "FLYWEIGHT_SERVICE_API_KEYS: [service] api-keys" in str(refused.value)


def test_hashes_come_from_the_environment_and_reach_the_server(tmp_path: Path) -> None:
    environ = {
        "FLYWEIGHT_SERVICE_API_KEYS": json.dumps(KEYS["api_keys"]),
        "FLYWEIGHT_STATE": str(tmp_path),
        KEY_VARIABLE: ASKING,
    }
    settings = read_settings(environ=environ)
    assert settings.service.api_keys == KEYS["api_keys"]
    told = server_environment(settings, environ)
    assert read_settings(environ=told).service == settings.service
    assert ASKING not in str(told)


@pytest.mark.parametrize(
    ("host", "keys", "is_exposed"),
    [
        ("127.0.0.1", {}, False),
        ("::1", {}, False),
        ("localhost", {}, False),
        ("0.0.0.0", {}, True),
        ("::", {}, True),
        ("example.org", {}, True),
        ("0.0.0.0", {"api": KEYS["api_keys"]}, False),
    ],
)
def test_service_that_is_open_to_others_warns(host: str, keys: dict, is_exposed: bool) -> None:
    assert bool(exposure(host, ApiKeys(**keys))) == is_exposed


def test_keys_hold_behind_bentoml_are_sent_by_who_asks_and_never_shown(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    artifact = tiny.seal(tmp_path / "artifacts")
    move_pointer(tmp_path / "artifacts", artifact.path)
    monkeypatch.setenv(KEY_VARIABLE, ASKING)
    server = launch(OURS, tmp_path, FLYWEIGHT_SERVICE_API_KEYS=json.dumps(KEYS["api_keys"]))
    question = {"history": ["i0"], "k": 2}
    assert server.call("/predict", question)[0] == 401
    assert server.call("/metrics")[0] == 401
    assert [server.call(path)[0] for path in HEALTH] == [200, 200, 200]
    (answer,) = ask_all(server.url, [question])
    assert answer.source == "model"
    assert stop(server, signal.SIGTERM) == 0
    assert not any(key in text for text in capfd.readouterr() for key in (ASKING, ROTATED))


def test_who_asks_sends_the_key_of_the_environment() -> None:
    assert key_headers({}) == {}
    assert key_headers({KEY_VARIABLE: "k"}) == {"Authorization": "Bearer k"}
