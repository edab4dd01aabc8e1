"""`flyweight loadtest` as a process: how it is ended, and how long a run is."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.faults import RunNotValid
from flyweight import standing
from flyweight.cli import main
from loadtests import run as run_module
from loadtests.processes import family_of, kill

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asked_url():
    """Of a service that answers nothing well, and how often it was asked."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def until(is_so, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whoever_ends_a_load_test_ends_the_load(asked_url, tmp_path, number):
    url, asked = asked_url
    command = [sys.executable, "-m", "flyweight", "loadtest", "--url", url, "--seconds", "60", "--rate", "20"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # the tests themselves may run under nohup
    )  # fmt: skip
    try:
        assert until(lambda: asked)
        family = family_of(process.pid)
        assert len(family) > 1
        process.send_signal(number)
        _, words = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "interrupted" in words
        assert until(lambda: not any(member.is_running() for member in family))
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "reports" / "loadtest").exists()


IGNORING = """
import os, signal
from flyweight.interrupts import ended_by_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
try:
    with ended_by_signals():
        os.kill(os.getpid(), signal.SIGHUP)
        print("still there", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
except KeyboardInterrupt:
    print(signal.getsignal(signal.SIGHUP).name, signal.getsignal(signal.SIGTERM).name)
"""


def test_signal_that_is_ignored_stays_so_and_others_are_put_back():
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", IGNORING], env=environ, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.split("\n")[:2] == ["still there", "SIG_IGN SIG_DFL"], done.stderr


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    subprocess.Popen([sys.executable, sys.argv[0]], start_new_session=True)
time.sleep(60)
"""


@pytest.fixture
def stubborn(tmp_path) -> Iterator[subprocess.Popen]:
    """A service that does not hear SIGTERM, with a worker in a session of its own."""
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    process = subprocess.Popen([sys.executable, str(script), "with a worker"], start_new_session=True)
    assert until(lambda: len(family_of(process.pid)) == 2)
    family = family_of(process.pid)
    yield process
    kill(family)
    process.wait()


def test_a_service_that_does_not_end_is_killed_with_its_workers(stubborn, monkeypatch):
    monkeypatch.setattr(standing, "_STOP_SECONDS", 0.2)
    family = family_of(stubborn.pid)
    standing._end(stubborn)
    assert until(lambda: not any(member.is_running() for member in family))


def test_a_second_interrupt_while_a_service_is_waited_for_kills_it(stubborn):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    family = family_of(stubborn.pid)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            standing._end(stubborn)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert until(lambda: not any(member.is_running() for member in family))


@pytest.mark.parametrize(
    ("flags", "seconds"), [(("--seconds", "5"), 5), ((), 600), (("--scenario", "server", "--seconds", "7"), 7)]
)
def test_seconds_given_are_those_of_every_scenario(monkeypatch, tmp_path, flags, seconds):
    commands = []

    def run(order, settings, out, watch):
        commands.append(run_module._command(order, settings, out))
        raise RunNotValid("enough is known.")

    monkeypatch.setattr(run_module, "run", run)
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(main, ["loadtest", "--url", "http://there", "--scenario", "soak", *flags])
    assert ended.exit_code == 3, ended.output
    assert f"--seconds={seconds}" in commands[0]
