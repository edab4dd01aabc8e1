"""Our own command line, run as a user would, in an environment that holds none of the caller's settings."""

import os
import subprocess
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from contracts.faults import Fault
from contracts.settings import SHORT_VARIABLES

ROOT = Path(__file__).resolve().parents[1]
_OURS = ("FLYWEIGHT_", "BENTOML_", "LOCUST_")


def flyweight(
    words: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    accepted: Container[int] = (0,),
) -> str:
    """Run it in `folder` to its end, with these settings and no others; returns its last words.

    Raises `Fault` with them where its exit code is not among the `accepted` ones.
    """
    ended = subprocess.run(
        _command(words),
        cwd=folder,
        env=clean_environment() | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    tail = "\n".join(ended.stdout.strip().splitlines()[-10:])
    if ended.returncode not in accepted:
        raise Fault(f"`flyweight {words[0]}` ended with exit code {ended.returncode}. Its last words:\n{tail}")
    return tail


def start_flyweight(words: Sequence[object], environment: Mapping[str, str], folder: Path) -> subprocess.Popen:
    """The same as a process that goes on; what it says is dropped."""
    return subprocess.Popen(
        _command(words),
        cwd=folder,
        env=clean_environment() | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment with this code and without any setting of ours, so that none reaches one process only."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in SHORT_VARIABLES and not name.startswith(_OURS)
    }
    return kept | {"PYTHONPATH": str(ROOT)}


def _command(words: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "flyweight", *map(str, words)]
