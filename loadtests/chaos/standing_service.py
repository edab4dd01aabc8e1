"""The service under test: `flyweight serve` in processes of its own, and what can be seen of them from outside."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil

from contracts.faults import Fault
from loadtests.command_line import ROOT, clean_environment
from loadtests.processes import family_of, kill
from loadtests.waiting import await_that, free_port

WORKERS = 2
_READY_SECONDS, _STOP_SECONDS = 60, 40
_UNPROTECTED = Path(__file__).parent / "unprotected"
_WORKER = "_bentoml_impl.worker.service"


class StandingService:
    """Started in `folder`. `settings`: environment variables. `without`: protections that are switched off."""

    def __init__(
        self, folder: Path, artifacts: Path, redis_url: str, settings: Mapping[str, str], without: tuple[str, ...]
    ) -> None:
        self.port, self.artifacts, self.without, self._folder = free_port(), artifacts, without, folder
        told = {
            "FLYWEIGHT_PATHS_ARTIFACTS": str(artifacts),
            "FLYWEIGHT_PATHS_BUNDLE": str(folder / "bundle"),
            "FLYWEIGHT_PATHS_STATE": str(folder / "state"),
            "FLYWEIGHT_SERVICE_WORKERS": str(WORKERS),
            "REDIS_URL": redis_url,
            "PORT": str(self.port),
        }
        self._environment = clean_environment() | told | dict(settings)
        if without:
            self._environment["CHAOS_WITHOUT"] = ",".join(without)
            self._environment["PYTHONPATH"] = f"{_UNPROTECTED}{os.pathsep}{ROOT}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "StandingService":
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Returns when it is ready with all its workers. Raises `Fault` with the end of its log."""
        log = self._folder / "serve.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flyweight", "serve"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not await_that(lambda: self._process.poll() is not None or self.is_whole(), _READY_SECONDS):
            self.end()
        if self._process.poll() is not None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise Fault(f"the service did not come up within {_READY_SECONDS} s. Its last words:\n{tail}")

    def end(self) -> None:
        """SIGTERM, and SIGKILL for whoever is left of the family."""
        family = family_of(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=_STOP_SECONDS)
        kill(left)
        self._process.wait()

    def is_whole(self) -> bool:
        """All workers are there, and one of them is ready."""
        return len(self.workers()) == WORKERS and self._is_ready()

    def workers(self) -> list[psutil.Process]:
        found = []
        for process in family_of(self._process.pid):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and _WORKER in process.cmdline():
                    found.append(process)
        return sorted(found, key=lambda process: process.pid)

    def connections(self, worker: psutil.Process) -> int:
        """How many clients it serves: at most so many requests are under way on it."""
        held = worker.net_connections("tcp")
        return sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == self.port for c in held)

    def unread(self, worker: psutil.Process) -> int:
        """On how many of these a request waits that it has not begun to read."""
        ours = {c.raddr.port for c in worker.net_connections("tcp") if c.raddr and c.laddr.port == self.port}
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(
            _port(local) == self.port and _port(remote) in ours and int(queues.partition(":")[2], 16) > 0
            for _, local, remote, _, queues, *_ in rows
        )

    def metric(self, name: str) -> float:
        """The sum of all its series."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)))

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


def _port(address: str) -> int:
    """Of an address as in proc(5), 0100007F:0BB8."""
    return int(address.rpartition(":")[2], 16)
