import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from contracts import durable
from service.embedded_redis import embedded_redis, running
from service.redis_clients import connect

HOLD = """
import sys, time
from pathlib import Path
from service.embedded_redis import embedded_redis
with embedded_redis(Path(sys.argv[1])) as url:
    print(url, flush=True)
    time.sleep(60)
"""


def await_that(is_true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid_of(url: str) -> int:
    with connect(url) as redis:
        return redis.info("server")["process_id"]


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("folder", ["state", "a state % folder", "deep" * 30], ids=["short", "odd", "long"])
def test_data_survives_a_restart(tmp_path: Path, folder: str) -> None:
    state = tmp_path / folder
    with embedded_redis(state) as url, connect(url) as redis:
        redis.set("key", "kept")
    with embedded_redis(state) as url, connect(url) as redis:
        assert redis.get("key") == b"kept"


def test_path_too_long_for_a_socket_is_served_on_loopback_with_a_password(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / ("deep" * 30)) as url:
        assert url.startswith("redis://:") and "@127.0.0.1:" in url


def test_stops_with_its_block(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url:
        pid = pid_of(url)
        assert running(tmp_path) == url
    assert has_ended(pid)
    assert running(tmp_path) is None


def test_second_user_shares_the_running_one_and_leaves_it_running(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url:
        with embedded_redis(tmp_path) as shared:
            assert shared == url
        assert running(tmp_path) == url


def test_dies_with_an_owner_that_is_killed_and_the_next_owner_takes_over(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        url = owner.stdout.readline().strip()
        pid = pid_of(url)
        os.kill(owner.pid, signal.SIGKILL)
    with embedded_redis(tmp_path) as next_url:
        assert pid_of(next_url) != pid
        assert has_ended(pid)


def test_answer_of_a_stranger_is_not_taken_for_ours(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "stranger") as url:
        durable.write_bytes(tmp_path / "redis.json", f'{{"url": "{url}", "pid": 1}}'.encode())
        assert running(tmp_path) is None


def test_redis_of_another_folder_with_the_number_of_a_dead_one_does_not_block_the_start(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "stranger") as url:
        content = f'{{"url": "unix:///gone", "pid": {pid_of(url)}}}'.encode()
        durable.write_bytes(tmp_path / "ours" / "redis.json", content)
        with embedded_redis(tmp_path / "ours") as ours:
            assert pid_of(ours) != pid_of(url)


def test_state_folder_is_shut_for_others_also_where_it_was_there_before(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    with embedded_redis(state):
        assert state.stat().st_mode & 0o777 == 0o700
