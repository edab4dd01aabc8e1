"""How each contender is started, known as ready, and ended: one after the other, never two at once."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType

import msgspec
import psutil

from contracts.faults import Fault
from contracts.settings import setting_keys, variable_of
from loadtests.command_line import ROOT, clean_environment
from loadtests.peers import ARTIFACT_VARIABLE, WORKERS
from loadtests.peers.usage import connections_held
from loadtests.peers.world import World, user_id
from loadtests.processes import family_of, kill
from loadtests.waiting import await_that, free_port
from service.lifetime import child_of

OURS = ("flyweight", "flyweight-shortcut")
APPS = {"fastapi": "fastapi_service", "bare-asgi": "bare_asgi"}
SERVERS = (*OURS, "plain-bentoml", *APPS)
CEILING = "onnxruntime"
CONTENDERS = (*SERVERS, CEILING)

SHORTCUT = ("service", "shortcut")
NONE: Mapping[str, str] = MappingProxyType({})
_READY_SECONDS, _END_SECONDS = 90, 40
_CONNECTIONS_AT_ONCE = 16


@dataclass(frozen=True)
class Running:
    """A contender that answers, with all its workers. `ready_seconds`: from its start until all of them did."""

    name: str
    process: subprocess.Popen
    port: int
    workers: int = WORKERS
    ready_seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def family(self) -> list[psutil.Process]:
        return family_of(self.process.pid)


def can_run(name: str) -> bool:
    """The shortcut is a setting of the service; a revision without it has one mode only."""
    return name != "flyweight-shortcut" or SHORTCUT in setting_keys()


@contextlib.contextmanager
def running(
    name: str,
    world: World,
    folder: Path,
    *,
    workers: int = WORKERS,
    variables: Mapping[str, str] = NONE,
    tree: Path = ROOT,
) -> Iterator[Running]:
    """Start a contender in the empty `folder`, yield it once every worker answers, and end all of it.

    Only this service heeds `workers`, settings in `variables`, and `tree`, a checkout whose code it then runs;
    peers always run `WORKERS`. Raises `Fault` with the end of its log when it does not come up within 90 s.
    """
    port = free_port()
    log, began = folder / "server.log", time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(name, world, port),
            cwd=tree,
            env=_environment(name, world, port, folder, workers) | {"PYTHONPATH": str(tree)} | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the bench, which then ends the contender
            preexec_fn=partial(child_of, os.getpid()),
        )
    contender = Running(name, process, port, workers)
    try:
        if not await_that(lambda: process.poll() is not None or _all_workers_answer(contender), _READY_SECONDS):
            raise _not_ready(name, log, f"did not answer with {workers} workers within {_READY_SECONDS} s")
        if process.poll() is not None:
            raise _not_ready(name, log, f"ended with exit code {process.returncode} before it was ready")
        yield replace(contender, ready_seconds=time.monotonic() - began)
    finally:
        _end(contender)


def _command(name: str, world: World, port: int) -> list[str]:
    if name in OURS:
        return [sys.executable, "-m", "flyweight", "serve", "--config", str(world.config)]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    if name == "plain-bentoml":
        service = "loadtests.peers.plain_bentoml:PlainBentoml"
        return [sys.executable, "-m", "bentoml", "serve", service, "--working-dir", str(ROOT), *place]
    app = f"loadtests.peers.{APPS[name]}:create_app"
    options = ["--factory", "--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools"]
    return [sys.executable, "-m", "uvicorn", app, *place, *options, "--no-access-log", "--log-level", "warning"]


def _environment(name: str, world: World, port: int, folder: Path, workers: int) -> dict[str, str]:
    home = folder / "bentoml"
    home.mkdir()
    told = {
        "REDIS_URL": world.redis_url,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        ARTIFACT_VARIABLE: str(world.artifact.path),
    }
    if name in OURS or name == "bare-asgi":
        told |= {
            "PORT": str(port),
            "FLYWEIGHT_STATE": str(folder / "state"),
            "FLYWEIGHT_CONFIG": str(world.config),
        }
        told[variable_of(("service", "workers"))] = str(workers)
    if name in OURS and SHORTCUT in setting_keys():
        told[variable_of(SHORTCUT)] = "true" if name == "flyweight-shortcut" else "false"
    return clean_environment() | told


def _all_workers_answer(contender: Running) -> bool:
    """Ask over several connections at once until each worker has taken one: one may come up before the other."""
    with contextlib.ExitStack() as connections:
        try:
            for _ in range(_CONNECTIONS_AT_ONCE):
                connection = HTTPConnection("127.0.0.1", contender.port, timeout=5)
                connections.callback(connection.close)
                if not _answers(connection):
                    return False
        except (OSError, HTTPException):
            return False
        return len(connections_held(contender.family(), contender.port)) >= contender.workers


def _answers(connection: HTTPConnection) -> bool:
    body = msgspec.json.encode({"user_id": user_id(0), "k": 10})
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    with connection.getresponse() as response:
        response.read()
        return response.status == 200


def _end(contender: Running) -> None:
    """SIGTERM, and SIGKILL for whoever is left of the family."""
    members = contender.family()
    if contender.process.poll() is None:
        contender.process.terminate()
    _, left = psutil.wait_procs(members, timeout=_END_SECONDS)
    kill(left)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(contender.process.pid, signal.SIGKILL)
    contender.process.wait()


def _not_ready(name: str, log: Path, what: str) -> Fault:
    tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:])
    return Fault(f"{name} {what}. The end of its log:\n{tail}")
