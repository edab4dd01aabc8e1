"""Real servers: BentoML's processes, a real Redis, real signals."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from contracts.pointer import move_pointer
from service.embedded_redis import running
from service.filling import History, write_histories
from service.redis_clients import connect
from service.routes import ROUTES
from tests.service.real_server import OURS, PLAIN, ROOT, Server, await_that, environment, free_port, launch, stop


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("served")
    artifact = tiny.seal(root / "artifacts")
    move_pointer(root / "artifacts", artifact.path)
    server = launch(OURS, root)
    with connect(running(root / "state")) as redis:
        write_histories(redis, [History("u1", np.array([10]), np.array([0]))], longest=100, ttl_seconds=600)
    yield server
    if server.process.poll() is None:
        stop(server, signal.SIGKILL)


def test_known_user_is_answered_from_the_embedded_redis(server: Server) -> None:
    status, answer = server.call("/predict", {"user_id": "u1", "k": 2})
    assert status == 200
    assert [item["item_id"] for item in answer["items"]] == ["i1", "i2"]
    assert (answer["source"], answer["reason"], answer["degraded"]) == ("model", "ok", False)
    assert server.call("/status")[1]["features"] == {"state": "up", "breaker": "closed"}


def event(event_id: str, item: str, user: str = "u2", **more: object) -> dict:
    moment = int(time.time() * 1000)
    return {"event_id": event_id, "type": "click", "user_id": user, "item_id": item, "timestamp": moment} | more


def test_an_event_is_a_part_of_the_very_next_answer(server: Server) -> None:
    assert server.call("/predict", {"user_id": "u2", "k": 2})[1]["reason"] == "cold_user"
    for n, item in enumerate(["i0", "i3", "i5"]):
        status, told = server.call("/events", {"events": [event(f"next-{n}", item)]})
        assert (status, told["accepted"], told["duplicates"], told["rejected"]) == (202, 1, 0, [])
        answer = server.call("/predict", {"user_id": "u2", "k": 1})[1]
        assert answer["reason"] == "ok"
        assert answer["items"][0]["item_id"] == f"i{int(item[1]) + 1}"  # what follows the newest scores best


def test_events_that_came_before_or_are_wrong_are_told_apart(server: Server) -> None:
    good, wrong = event("apart", "i1", "u3"), event("wrong", "i1", "u3", type="glance")
    status, told = server.call("/events", {"events": [good, good, wrong]})
    assert (status, told["accepted"], told["duplicates"]) == (202, 1, 1)
    assert [(one["index"], one["code"]) for one in told["rejected"]] == [(2, "unknown_type")]
    status, told = server.call("/events", {"events": [wrong]})
    assert status == 400
    assert told["error"]["code"] == "no_valid_event"
    assert (told["accepted"], told["rejected"][0]["index"]) == (0, 0)


def test_an_impression_and_an_unknown_item_leave_the_history_as_it_is(server: Server) -> None:
    seen = [event("imp", "i1", "u4", type="impression"), event("unk", "never heard of", "u4")]
    assert server.call("/events", {"events": seen})[0] == 202
    assert server.call("/predict", {"user_id": "u4", "k": 1})[1]["reason"] == "cold_user"


def test_a_user_who_is_forgotten_is_cold_again(server: Server) -> None:
    odd = "u/5\n ü"
    assert server.call("/events", {"events": [event("forget", "i1", odd)]})[0] == 202
    assert server.call("/predict", {"user_id": odd})[1]["reason"] == "ok"
    for had_history in (True, False):
        status, told = server.call("/users/u%2F5%0A%20%C3%BC", method="DELETE")
        assert (status, told["had_history"]) == (202, had_history)
    assert server.call("/predict", {"user_id": odd})[1]["reason"] == "cold_user"
    assert server.call("/users/u1")[0] == 405
    assert server.call("/users/" + "x" * 257, method="DELETE")[0] == 400


def test_errors_have_our_shape_behind_bentoml_too(server: Server) -> None:
    for path, body, expected in [("/nope", None, 404), ("/predict", None, 405), ("/predict", {"k": 1}, 400)]:
        status, answer = server.call(path, body)
        assert status == expected
        assert set(answer) == {"error", "request_id"}


def test_health_routes_answer(server: Server) -> None:
    assert [server.call(path)[0] for path in ("/livez", "/readyz", "/healthz")] == [200, 200, 200]


def test_health_routes_never_ask_redis(server: Server) -> None:
    def asked() -> int:
        with connect(running(server.root / "state")) as redis:
            return redis.info("commandstats")["cmdstat_mget"]["calls"]

    assert server.call("/predict", {"user_id": "u1"})[0] == 200
    before = asked()
    for path in ("/livez", "/readyz", "/healthz"):
        assert [server.call(path)[0] for _ in range(8)] == [200] * 8
    assert asked() == before


def test_hung_redis_is_noticed_by_every_worker_and_so_is_its_return(server: Server) -> None:
    def answers() -> set[tuple]:
        found = [server.call("/predict", {"user_id": "u1", "k": 2}) for _ in range(8)]
        return {(status, answer["source"], answer["reason"]) for status, answer in found}

    def open_breakers() -> float:
        text = server.call("/metrics")[1]
        return float(re.search(r"^flyweight_feature_cache_open (\S+)", text, re.MULTILINE)[1])

    with connect(running(server.root / "state")) as redis:
        hung = psutil.Process(redis.info("server")["process_id"])
    hung.suspend()
    try:
        await_that(lambda: answers() == {(200, "popular", "feature_cache_timeout")} and open_breakers() == 2)
        assert [server.call(path)[0] for path in ("/livez", "/readyz", "/healthz")] == [200] * 3
        assert server.call("/status")[1]["degraded"] is True
    finally:
        hung.resume()
    await_that(lambda: answers() == {(200, "model", "ok")} and open_breakers() == 0)


ROUTES_OF_BENTOML = """
import json, service
from starlette.routing import Mount
routes = service.Flyweight.to_asgi(is_main=True).routes
print(json.dumps([route.path + "/index.html" * isinstance(route, Mount) for route in routes]))
"""


def test_of_bentomls_own_routes_only_health_is_reached(server: Server) -> None:
    described = subprocess.run(
        [sys.executable, "-c", ROUTES_OF_BENTOML], cwd=ROOT, env=environment(server.root, free_port()),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert described.returncode == 0, described.stderr
    theirs = json.loads(described.stdout.splitlines()[-1])
    assert {"/schema.json", "/docs.json", "/livez"} <= set(theirs)
    for path in set(theirs) - set(ROUTES):
        status, answer = server.call(path)
        assert (path, status) == (path, 404)
        assert set(answer) == {"error", "request_id"}


def test_state_folder_is_shut_for_others(server: Server) -> None:
    assert (server.root / "state").stat().st_mode & 0o777 == 0o700


def test_shortcut_holds_with_the_installed_bentoml(server: Server) -> None:
    assert server.call("/status")[1]["shortcut"] is True


def received(server: Server, request: bytes, *, body: bytes = b"") -> list[bytes]:
    """What comes back, packet by packet, up to the end of the JSON; `body` is sent once that was asked for."""
    packets = []
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(request)
        while not packets or not packets[-1].endswith(b"}"):
            packets.append(connection.recv(65_536))
            assert packets[-1], "closed before the end"
            if packets[-1].startswith(b"HTTP/1.1 100"):
                connection.sendall(body)
    return packets


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /predict HTTP/1.1", b"Host: a", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""])


def test_an_answer_is_one_packet(server: Server) -> None:
    body = b'{"history": ["i0"]}'
    for _ in range(20):
        assert len(received(server, post(body) + body)) == 1


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(server: Server) -> None:
    body = b'{"history": ["i0"]}'
    invitation, *answer = received(server, post(body, b"Expect: 100-continue"), body=body)
    assert invitation.startswith(b"HTTP/1.1 100")
    assert b"".join(answer).startswith(b"HTTP/1.1 200")


def test_metrics_add_up_over_all_workers(server: Server) -> None:
    def counted() -> float:
        series = 'flyweight_fallbacks_total{reason="cold_user"} '
        text = server.call("/metrics")[1]
        assert "bentoml_service" not in text
        return sum(float(line.removeprefix(series)) for line in text.splitlines() if line.startswith(series))

    before = counted()
    for _ in range(20):
        assert server.call("/predict", {"user_id": "nobody"})[1]["reason"] == "cold_user"
    assert [counted() for _ in range(8)] == [before + 20] * 8


def test_promotion_is_followed_by_every_worker(tiny, server: Server) -> None:
    artifacts = server.root / "artifacts"
    other = tiny.seal(artifacts, variant="fp16")
    move_pointer(artifacts, other.path)

    def versions() -> set[str]:
        return {server.call("/predict", {"history": ["i0"]})[1]["model"]["version"] for _ in range(16)}

    await_that(lambda: versions() == {other.version})
    text = server.call("/metrics")[1]
    serving = re.findall(r'flyweight_model_info\{.*version="(\w+)"\} 1\.0', text)
    assert serving == [other.version]


def test_second_service_on_the_same_state_folder_is_refused(server: Server) -> None:
    second = subprocess.run(
        PLAIN, cwd=ROOT, env=environment(server.root, free_port()), capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert "another service holds the state folder" in second.stderr
    assert "Traceback" not in second.stderr


def test_sigterm_ends_every_process_and_keeps_the_features(server: Server) -> None:
    assert stop(server, signal.SIGTERM) == 0
    assert server.call("/livez")[0] == 0
    assert running(server.root / "state") is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_plain_bentoml_serve_works_and_leaves_no_process(tiny, tmp_path: Path, number: signal.Signals) -> None:
    artifact = tiny.seal(tmp_path / "bundle")
    move_pointer(tmp_path / "bundle", artifact.path)
    server = launch(PLAIN, tmp_path)
    assert server.call("/predict", {"history": ["i0"]})[1]["source"] == "model"
    stop(server, number)


def test_redis_that_is_named_is_used_and_none_is_started(tiny, tmp_path: Path, redis_url: str) -> None:
    artifact = tiny.seal(tmp_path / "artifacts")
    move_pointer(tmp_path / "artifacts", artifact.path)
    with connect(redis_url) as redis:
        redis.flushall()
        write_histories(redis, [History("u1", np.array([10]), np.array([0]))], longest=100, ttl_seconds=600)
    server = launch(OURS, tmp_path, REDIS_URL=redis_url, FLYWEIGHT_SERVICE_SHORTCUT="false")
    assert server.call("/predict", {"user_id": "u1"})[1]["reason"] == "ok"
    assert server.call("/status")[1]["shortcut"] is False  # the public way answers the same
    assert running(tmp_path / "state") is None
    assert stop(server, signal.SIGINT) == 0


@pytest.mark.parametrize("command", [OURS, PLAIN], ids=["flyweight", "bentoml"])
def test_nothing_promoted_exits_2_with_the_remedy(tmp_path: Path, command: list[str]) -> None:
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(tmp_path, free_port()), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "nothing is promoted" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_is_named_and_holds_no_promotion_is_refused_though_something_is_packed(
    tiny, tmp_path
) -> None:
    move_pointer(tmp_path / "bundle", tiny.seal(tmp_path / "bundle").path)
    told = environment(tmp_path, free_port())
    del told["FLYWEIGHT_PATHS_ARTIFACTS"]
    named = told | {"ARTIFACT_DIR": str(tmp_path / "not-mounted")}
    ended = subprocess.run(OURS, cwd=ROOT, env=named, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "not-mounted, and there is no promoted in it. Mount the folder" in ended.stderr


def test_a_state_folder_that_cannot_be_written_is_refused_with_the_remedy(tiny, tmp_path: Path) -> None:
    move_pointer(tmp_path / "bundle", tiny.seal(tmp_path / "bundle").path)
    told = environment(tmp_path, free_port()) | {"FLYWEIGHT_STATE": "/sys/flyweight"}  # closed to root too
    ended = subprocess.run(OURS, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "/sys/flyweight cannot be made by user" in ended.stderr
    assert "Traceback" not in ended.stderr
