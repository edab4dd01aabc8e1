"""What every row starts from: two artifacts with random weights, users made up, a Redis that is full of them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from contracts.faults import Fault
from contracts.settings import SHORT_VARIABLES
from loadtests.chaos import ROOT
from loadtests.chaos.redis_server import FILE, RedisServer

ITEMS, USERS = 3706, 20_000
_POINTER = "promoted"
_OURS = ("FLYWEIGHT_", "BENTOML_", "LOCUST_")


@dataclass(frozen=True)
class World:
    """`artifacts`: names of two folders in `folder/artifacts`; the first one is promoted. `filled`: the file of a
    Redis that knows every user of `traffic`."""

    folder: Path
    artifacts: tuple[str, str]
    traffic: Path
    filled: Path

    def copy_artifacts(self, place: Path) -> None:
        """For a row that promotes, or spoils one."""
        shutil.copytree(self.folder / "artifacts", place)

    def fill(self, folder: Path) -> None:
        """For a Redis that is to start with all users."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.filled, folder / FILE)


def make_world(folder: Path) -> World:
    """Made with the command line, as a user would. Raises `Fault` with its words when that fails."""
    environment = {
        "FLYWEIGHT_PATHS_ARTIFACTS": str(folder / "artifacts"),
        "FLYWEIGHT_PATHS_BUNDLE": str(folder / "b"),
    }
    paths = []
    for seed in ("1", "2"):
        result = folder / f"export-{seed}.json"
        words = ["export", "--untrained", "--items", str(ITEMS), "--rung", "sasrec", "--json", str(result)]
        flyweight(words, environment | {"FLYWEIGHT_TRAINING_SEED": seed}, folder)
        (sealed,) = msgspec.json.decode(result.read_bytes())["artifacts"]
        paths.append(Path(sealed["path"]))
    flyweight(["promote", str(paths[0]), "--force"], environment, folder)
    traffic = folder / "traffic.json"
    with RedisServer(folder / "redis", appendfsync="no") as server:
        words = ["materialize", "--synthetic", str(USERS), "--traffic", str(traffic)]
        flyweight(words, environment | {"REDIS_URL": server.url}, folder)
    return World(folder, (paths[0].name, paths[1].name), traffic, folder / "redis" / FILE)


def flyweight(words: list[str], environment: Mapping[str, str], folder: Path) -> None:
    """Run the command line in `folder`, with these settings and no others."""
    ended = subprocess.run(
        [sys.executable, "-m", "flyweight", *words],
        cwd=folder,
        env=clean_environment() | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode:
        tail = "\n".join(ended.stdout.strip().splitlines()[-10:])
        raise Fault(f"`flyweight {words[0]}` ended with exit code {ended.returncode}. Its last words:\n{tail}")


def start_flyweight(words: list[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen:
    """The same as a process that goes on; what it says is dropped."""
    return subprocess.Popen(
        [sys.executable, "-m", "flyweight", *words],
        cwd=folder,
        env=clean_environment() | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def point_at(artifacts: Path, name: str) -> None:
    """Promote without asking whether it can be, in one step: what a damaged disk or a careless copy comes to."""
    beside = artifacts / f"{_POINTER}.new"
    beside.write_text(f"{name}\n")
    beside.replace(artifacts / _POINTER)


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without any setting of ours, and with this code."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in SHORT_VARIABLES and not name.startswith(_OURS)
    }
    return kept | {"PYTHONPATH": str(ROOT)}
