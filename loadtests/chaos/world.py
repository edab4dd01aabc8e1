"""What every row starts from: two artifacts with random weights, users made up, a Redis that is full of them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadtests.chaos.redis_server import FILE, RedisServer
from loadtests.command_line import flyweight

ITEMS, USERS = 3706, 20_000
_POINTER = "promoted"


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


def point_at(artifacts: Path, name: str) -> None:
    """Promote without asking whether it can be, in one step: what a damaged disk or a careless copy comes to."""
    beside = artifacts / f"{_POINTER}.new"
    beside.write_text(f"{name}\n")
    beside.replace(artifacts / _POINTER)
