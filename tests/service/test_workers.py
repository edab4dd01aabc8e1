"""Workers that die: replaced, or the service ends so that somebody replaces all of it."""

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from contracts.pointer import move_pointer
from service.roll_call import count_present, present
from service.watch import Watch
from tests.service.real_server import OURS, PLAIN, Server, await_that, launch, stop

WORKER = "_bentoml_impl.worker.service"


def be_present(state: Path, workers: int, is_there, may_go) -> None:
    with present(state, workers):
        is_there.set()
        may_go.wait(20)


def test_presence_ends_with_the_process_however_that_ended(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    assert count_present(tmp_path, 2) == 0
    children = []
    for expected in (1, 2, 2):  # the third finds no place, and is none too many
        is_there, may_go = spawn.Event(), spawn.Event()
        child = spawn.Process(target=be_present, args=(tmp_path, 2, is_there, may_go))
        child.start()
        assert is_there.wait(20)
        children.append((child, may_go))
        assert count_present(tmp_path, 2) == expected
    (first, _), (second, may_go), (third, let_go) = children
    first.kill()
    first.join()
    assert count_present(tmp_path, 2) == 1
    may_go.set()
    second.join()
    assert count_present(tmp_path, 2) == 0
    let_go.set()
    third.join()


def watched(counts: list[int], patience_seconds: float) -> list[int]:
    """With what the watch gave up, after it saw these numbers one after the other and then the last for ever."""
    given_up = []

    def count() -> int:
        return counts.pop(0) if len(counts) > 1 else counts[0]

    watch = Watch(count, 2, patience_seconds, given_up.append, look_seconds=0.001)
    watch.start()
    watch.join(0.3)
    watch.end()
    watch.join(20)
    return given_up


def test_watch_gives_up_once_when_a_worker_stays_away() -> None:
    assert watched([0, 0, 1, 2, 2, 1], 0.01) == [1]
    assert watched([0, 1], 0.01) == [1]
    assert watched([2, 0], 0.01) == [0]


def test_watch_waits_for_the_first_and_for_a_replacement() -> None:
    assert watched([0], 0.01) == []
    assert watched([2, 1, 1, 1, 2], 60) == []


def workers_of(server: Server) -> list[psutil.Process]:
    found = []
    for process in server.family():
        try:
            if WORKER in process.cmdline():
                found.append(process)
        except psutil.Error:  # ended meanwhile, or a zombie
            continue
    return found


def serve(tiny, root: Path, command: list[str] = OURS, **variables: str) -> Server:
    artifact = tiny.seal(root / "artifacts")
    move_pointer(root / "artifacts", artifact.path)
    server = launch(command, root, **variables)
    await_that(lambda: count_present(root / "state", 2) == 2)
    return server


def metric(server: Server, series: str) -> float:
    text = server.call("/metrics")[1]
    return float(re.search(rf"^flyweight_{re.escape(series)} (\S+)$", text, re.MULTILINE)[1])


def counted(server: Server) -> dict[str, float]:
    """Every counter and every histogram, of all workers together."""
    found = re.findall(
        r"^(flyweight_\w+_(?:total|count|sum|bucket)\S*) (\S+)$", server.call("/metrics")[1], re.MULTILINE
    )
    return {series: float(value) for series, value in found}


def goes_on(before: dict[str, float], now: dict[str, float]) -> bool:
    """Nothing is gone, nothing went backwards."""
    return all(now[series] >= value for series, value in before.items())


@pytest.mark.parametrize("command", [OURS, PLAIN], ids=["flyweight", "bentoml"])
def test_killed_worker_is_replaced_in_a_container_too(tiny, tmp_path: Path, command: list[str]) -> None:
    server = serve(tiny, tmp_path, command, BENTOML_CONTAINERIZED="true")
    killed, other = workers_of(server)
    for _ in range(16):
        assert server.call("/predict", {"history": ["i0"]})[0] == 200
    await_that(lambda: metric(server, 'process_memory_bytes{kind="rss"}') > killed.memory_info().rss * 1.5)
    before, memory = counted(server), metric(server, 'process_memory_bytes{kind="rss"}')
    assert metric(server, "workers") == 2
    os.kill(killed.pid, signal.SIGKILL)
    began = time.monotonic()
    await_that(lambda: count_present(tmp_path / "state", 2) == 1)
    assert metric(server, "workers") == 1  # with the first look
    assert metric(server, 'process_memory_bytes{kind="rss"}') < memory * 0.75
    assert goes_on(before, counted(server))
    assert server.call("/predict", {"history": ["i0"]})[0] == 200
    await_that(lambda: count_present(tmp_path / "state", 2) == 2)
    print(f"replaced after {time.monotonic() - began:.1f} s")
    await_that(lambda: metric(server, "workers") == 2)
    assert goes_on(before, counted(server))
    assert len({process.pid for process in workers_of(server)} - {killed.pid, other.pid}) == 1
    assert stop(server, signal.SIGTERM) == 0


def has_to_stop(suspended: psutil.Process) -> bool:
    """Whether a SIGTERM waits for it."""
    status = Path(f"/proc/{suspended.pid}/status").read_text()
    return bool(int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16) & 1 << signal.SIGTERM - 1)


def test_service_that_stays_short_of_a_worker_ends_with_exit_code_4(tiny, tmp_path: Path) -> None:
    server = serve(tiny, tmp_path, FLYWEIGHT_SERVICE_MISSING_WORKER_SECONDS="2")
    family = server.family()
    bentoml = next(process for process in family if "serve" in process.cmdline())
    killed, _ = workers_of(server)
    bentoml.suspend()  # it replaces nobody
    try:
        killed.kill()
        await_that(lambda: has_to_stop(bentoml))
    finally:
        bentoml.resume()
    assert server.process.wait(30) == 4
    await_that(lambda: not any(process.is_running() for process in family), 30)
