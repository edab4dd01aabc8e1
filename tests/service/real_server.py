"""Real services for tests: BentoML's processes, a real Redis, real signals."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtests.waiting import free_port

ROOT = Path(__file__).parent.parent.parent
SERVE = """
import sys
from contracts.faults import Fault
from contracts.settings import read_settings
from service.serving import serve
try:
    sys.exit(serve(read_settings()))
except Fault as fault:
    print(fault, file=sys.stderr)
    sys.exit(fault.exit_code)
"""
OURS = [sys.executable, "-c", SERVE]
PLAIN = [sys.executable, "-m", "bentoml", "serve", "."]


@dataclass
class Server:
    process: subprocess.Popen
    url: str
    root: Path

    def call(self, path: str, body: dict | None = None, method: str = "") -> tuple[int, dict | str]:
        """On a connection of its own, so that any worker may answer."""
        method = method or ("POST" if body is not None else "GET")
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        except OSError:
            return 0, ""
        return status, json.loads(content) if content.startswith(b"{") else content.decode()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


def environment(root: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "PORT": str(port),
        "FLYWEIGHT_STATE": str(root / "state"),
        "FLYWEIGHT_PATHS_ARTIFACTS": str(root / "artifacts"),
        "FLYWEIGHT_PATHS_BUNDLE": str(root / "bundle"),
        "FLYWEIGHT_SERVICE_WORKERS": "2",
        "FLYWEIGHT_SERVICE_POINTER_CHECK_MS": "50",
        "FLYWEIGHT_SERVICE_DEADLINE_MS": "3000",  # these tests are about answers, also on a machine that halts
        "FLYWEIGHT_SERVICE_DRAIN_SECONDS": "0",
        "BENTOML_HOME": str(root / f"bentoml-{port}"),
    }


def await_that(is_true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def launch(command: list[str], root: Path, *, log: Path | None = None, **variables: str) -> Server:
    """`log`: where standard error goes, else to that of the tests."""
    port = free_port()
    with log.open("wb") if log else contextlib.nullcontext() as stderr:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(root, port) | variables, stderr=stderr)
    server = Server(process, f"http://127.0.0.1:{port}", root)
    await_that(lambda: process.poll() is not None or server.call("/readyz")[0] == 200)
    assert process.poll() is None
    return server


def all_ended(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def stop(server: Server, number: int) -> int:
    """Send a signal and wait until no process of the server is left."""
    family = server.family()
    assert len(family) >= 3  # a parent and two workers
    server.process.send_signal(number)
    code = server.process.wait(30)
    await_that(lambda: all_ended(family), 30)
    return code
