"""`flyweight ingest` and `flyweight forget`, as the command line calls them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.embedded_redis import embedded_redis
from service.redis_clients import connect
from tests.export.filled_streams import Filled, event

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def fresh(world, tmp_path):
    return world.copy(tmp_path / "fresh")


@pytest.fixture
def redis_url(fresh):
    """The embedded Redis of the world's state folder, which the verbs find by themselves."""
    with embedded_redis(fresh.settings.paths.state) as url:
        yield url


@pytest.fixture
def filled(fresh, redis_url):
    with connect(redis_url) as redis:
        yield Filled(redis, fresh.settings.paths.events, fresh.settings.paths.served)


def test_ingest_says_what_it_read_and_wrote(fresh, filled, call):
    filled.add(*(event(f"e{n}", days=n) for n in range(3)), event("e2", days=2))
    ended = call(fresh, "ingest")
    assert ended.exit_code == 0, ended.stderr
    assert "read   the embedded Redis  4 events, 0 served lists" in ended.stdout
    assert "3 events, 3 days: 2026-11-21 to 2026-11-23 (0." in ended.stdout
    assert "left out: 1 duplicates" in ended.stdout
    assert (ended.result["events"], ended.result["duplicates"]) == (3, 1)
    assert call(fresh, "ingest").result["events"] == 0


def test_forget_then_ingest_leaves_nothing_of_a_user(fresh, filled, call):
    filled.add(event("e1", "u1"), event("e2", "u2"))
    call(fresh, "ingest")
    ended = call(fresh, "forget", "u1", "u3")
    assert ended.exit_code == 0
    assert ended.result["users"] == {"u1": False, "u3": False}
    assert "forgotten: 2 users, 1 events of theirs erased" in call(fresh, "ingest").stdout
    assert filled.logged() == ["e2"]


def test_forget_refuses_what_is_no_user_id(fresh, call):
    for user in ("", "x" * 257):
        ended = call(fresh, "forget", user)
        assert (ended.exit_code, "user id" in ended.stderr) == (2, True)


def test_forget_without_redis_says_so(fresh, call, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    ended = call(fresh, "forget", "u1")
    assert ended.exit_code == 3
    assert "not everybody could be forgotten" in ended.stderr


def test_the_log_of_events_validates_like_any_other(fresh, filled, call):
    filled.add(*(event(f"e{n}", f"u{n % 5}", item_id=f"i{n % 12}", days=n / 9) for n in range(60)))
    call(fresh, "ingest")
    ended = call(fresh, "validate", "--interactions", fresh.settings.paths.events)
    assert (ended.exit_code, ended.result["rows_kept"]) == (0, 60)


def test_following_takes_what_comes_until_it_is_stopped(fresh, filled):
    command = [sys.executable, "-m", "flyweight", "ingest", "--follow", "0.1", "--config", str(fresh.config)]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for number in range(3):
            filled.add(event(f"e{number}"))
            deadline = time.monotonic() + 30
            while len(filled.logged()) <= number:
                assert time.monotonic() < deadline and process.poll() is None, process.stderr.read()
                time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "What is written is whole" in errors
    assert said.count("wrote ") >= 2  # the stop may come between the last writing and its line
