"""A service of its own for an artifact, for as long as it takes to measure it under load."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from contracts.artifact import Artifact
from contracts.faults import Fault, RunNotValid
from contracts.pointer import move_pointer
from contracts.sections import Settings
from flyweight.asking import await_ready
from service.serving import server_environment

_READY_SECONDS, _STOP_SECONDS = 60, 30


@contextlib.contextmanager
def standing(artifact: Artifact, settings: Settings, redis_url: str, scratch: Path) -> Iterator[str]:
    """Serve `artifact` from the empty folder `scratch` on a free port; yields the URL once it is ready.

    Raises `Fault` with the end of its log when it does not come up.
    """
    from loadtests.waiting import free_port

    copy = scratch / "artifacts" / artifact.path.name
    shutil.copytree(artifact.path, copy, copy_function=_link)
    move_pointer(copy.parent, copy)
    port = free_port()
    environment = server_environment(settings, os.environ) | {
        "FLYWEIGHT_PATHS_ARTIFACTS": str(copy.parent),
        "FLYWEIGHT_PATHS_STATE": str(scratch / "state"),
        "FLYWEIGHT_SERVICE_PORT": str(port),
        "FLYWEIGHT_SERVICE_HOST": "127.0.0.1",
        "FLYWEIGHT_SERVICE_DRAIN_SECONDS": "0",  # nobody else asks it
        "FLYWEIGHT_FEATURES_REDIS_URL": redis_url,
        "BENTOML_HOME": str(scratch / "bentoml"),
    }
    log = scratch / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flyweight", "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await_ready(process, url, log)
        yield url
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """SIGTERM, and SIGKILL for whoever is left of the family, also when somebody is tired of waiting."""
    from loadtests.processes import family_of, kill

    family = family_of(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        kill(family)
        process.wait()


def _await_ready(process: subprocess.Popen, url: str, log: Path) -> None:
    try:
        await_ready(url, _READY_SECONDS, lambda: process.poll() is None)
    except RunNotValid as error:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Fault(f"the service did not come up within {_READY_SECONDS} s. Its last words:\n{tail}") from error


def _link(source: str, target: str) -> str:
    """A second name for the same bytes where the file system can, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
