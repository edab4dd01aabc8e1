"""The whole journey through the real command line, from a log to answers over HTTP and a promotion on the fly."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

RUNGS = ("popularity", "item-to-item", "sasrec")

SETTINGS = """
[training]
max-history = 10
threads = 1

[sasrec]
dimension = 16
epochs = 2

[export]
variants = ["fp32", "fp16"]

[measuring]
batch-sizes = [1]
rounds = 2
calls-per-round = 5
resamples = 200

[service]
workers = 2
pointer-check-ms = 50
"""
DEADLINE_SECONDS = 60


def await_that(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Project:
    """A folder with a log and settings of its own, where verbs are called as a person would."""

    def __init__(self, root: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.root = root
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "PORT": str(self.port),
            "FLYWEIGHT_STATE": str(root / "state"),
            "BENTOML_HOME": str(root / "bentoml"),
        }
        (root / "flyweight.toml").write_text(SETTINGS)

    def start(self, *arguments: str, **options: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "flyweight", *arguments]
        return subprocess.Popen(command, cwd=self.root, env=self.environment, text=True, **options)

    def call(self, *arguments: str) -> dict:
        """A verb that must say yes; returns what it writes for `--json`."""
        called = self.start(*arguments, "--json", "result.json", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = called.communicate(timeout=DEADLINE_SECONDS)
        assert called.returncode == 0, said
        return json.loads((self.root / "result.json").read_text())

    def ask(self, **question: object) -> tuple[dict, str]:
        """The answer of /predict, and its X-Model-Version."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/predict", json.dumps(question).encode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read()), response.headers["X-Model-Version"]

    def is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=20).close()
        except OSError:
            return False
        return True


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def serving(project: Project) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts the service; whatever a failed test leaves of it is killed."""
    started: list[subprocess.Popen] = []

    def serve() -> subprocess.Popen:
        started.append(project.start("serve"))
        return started[0]

    yield serve
    for process in started:
        if process.poll() is None:
            process.kill()  # its children die with it
            process.wait()


def test_from_a_log_to_answers_and_on_to_another_model(project: Project, serving) -> None:
    project.call("sample", "--out", "log", "--users", "200", "--items", "60", "--interactions", "3000")
    for rung in RUNGS:
        project.call("train", "--interactions", "log", "--rung", rung)
    artifacts = project.call("export", "--all")["artifacts"]
    assert len(artifacts) > len(RUNGS)
    measured = project.call("measure")["measured"]
    assert len(measured) == len(artifacts)
    first = project.call("promote")["decision"]["winner"]
    assert first in measured

    service = serving()
    await_that(lambda: service.poll() is not None or project.is_ready())
    assert service.poll() is None
    family = [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]
    filled = project.call("materialize", "--interactions", "log", "--traffic", "traffic.json")
    assert filled["users"] == 200

    busiest = json.loads((project.root / "traffic.json").read_text())["users"][0]
    known, version = project.ask(user_id=busiest["user_id"], k=5)
    assert (known["source"], known["reason"], known["degraded"]) == ("model", "ok", False)
    assert len(known["items"]) == 5
    assert not {item["item_id"] for item in known["items"]} & set(busiest["history"])
    assert version == known["model"]["version"]
    anonymous, _ = project.ask(history=busiest["history"], k=5)
    assert anonymous["items"] == known["items"]
    cold, _ = project.ask(user_id="nobody", k=5)
    assert (len(cold["items"]), cold["reason"], cold["degraded"]) == (5, "cold_user", False)

    second = next(name for name in measured if name != first)
    project.call("promote", second, "--force")
    await_that(lambda: {project.ask(user_id="nobody")[1] for _ in range(12)}.isdisjoint({version}))
    after, _ = project.ask(user_id=busiest["user_id"])
    assert f"{after['model']['name']}:{after['model']['variant']}" == second
    assert after["reason"] == "ok"  # nobody became cold: histories are kept as item numbers

    family += psutil.Process(service.pid).children(recursive=True)
    assert len(set(family)) >= 4  # ours, BentoML's, two workers
    service.send_signal(signal.SIGTERM)
    assert service.wait(DEADLINE_SECONDS) == 0
    await_that(lambda: not any(map(is_running, family)))
