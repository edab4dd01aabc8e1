"""Promotion while clients ask without pause: none fails, and in two seconds all get the new model."""

import re
import signal
import time
from pathlib import Path

from contracts.pointer import move_pointer
from tests.service.keep_alive import asking
from tests.service.promoted import record_promotions
from tests.service.real_server import OURS, Server, await_that, launch, stop

IN_TIME_SECONDS = 2.0


def refused(server: Server) -> float:
    text = server.call("/metrics")[1]
    return sum(map(float, re.findall(r"^flyweight_refused_promotions_total (\S+)$", text, re.MULTILINE)))


def test_promotion_under_load_is_followed_in_time_and_a_broken_one_refused_without_a_failed_request(
    tiny, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    first = tiny.seal(artifacts)
    move_pointer(artifacts, first.path)
    server = launch(OURS, tmp_path, FLYWEIGHT_SERVICE_POINTER_CHECK_MS="1000")  # the default
    second = tiny.seal(artifacts, variant="fp16")
    broken = tiny.seal(artifacts, variant="int8-dynamic")
    broken.model_path.write_bytes(broken.model_path.read_bytes()[:-1])
    with asking(8, server.port, {"history": ["i0"], "k": 2}) as clients:
        move_pointer(artifacts, second.path)
        moved = time.monotonic()
        await_that(lambda: all(second.version in client.versions or client.errors for client in clients), 20)
        move_pointer(artifacts, broken.path)
        await_that(lambda: refused(server) == 2, 20)
    assert [client.errors for client in clients] == [[]] * 8
    assert {version for client in clients for version in client.versions} == {first.version, second.version}
    assert all(client.seen_last[first.version] - moved < IN_TIME_SECONDS for client in clients)
    assert stop(server, signal.SIGTERM) == 0


def test_broken_promotion_at_boot_is_answered_by_what_served_before(tiny, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    sound, broken = tiny.seal(artifacts), tiny.seal(artifacts, variant="fp16")
    record_promotions(artifacts, sound, broken)
    broken.model_path.unlink()
    server = launch(OURS, tmp_path)
    assert server.call("/predict", {"history": ["i0"]})[1]["model"]["version"] == sound.version
    await_that(lambda: refused(server) == 2, 20)
    third = tiny.seal(artifacts, variant="int8-dynamic")
    move_pointer(artifacts, third.path)
    await_that(lambda: server.call("/predict", {"history": ["i0"]})[1]["model"]["version"] == third.version, 20)
    assert stop(server, signal.SIGTERM) == 0
