"""What every contender is given: an artifact with random weights, and one Redis full of known users."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from contracts import durable
from contracts.artifact import Artifact, open_artifact
from loadtests.command_line import ROOT, flyweight
from service.filling import History, write_histories
from service.redis_clients import connect

MODELS = {"transformer": "sasrec", "light": "mean"}
"""What the bench calls a model, and the rung that it is."""

PLAIN_GRAPH = "transformer, all positions"
CEILINGS = {"transformer": {PLAIN_GRAPH: "sasrec-all-positions"}, "light": {}}
"""Graphs that onnxruntime runs alone beside the one that is served: the transformer without its shortcut, by which
the peers are judged."""

ITEMS, USERS, HISTORY = 3706, 10_000, 50
_TTL_SECONDS = 86_400
_CONFIG = """# Written by `make bench`.
[training]
max-history = {history}

[sasrec]
dimension = 64
layers = 2
"""


@dataclass(frozen=True)
class World:
    """One model's artifact, the configuration file whose [paths] hold it, and the Redis that all share."""

    model: str
    config: Path
    artifact: Artifact
    redis_url: str


def make_world(model: str, folder: Path, redis_url: str, *, items: int = ITEMS, history: int = HISTORY) -> World:
    """Export and promote the artifact of `model` under `folder`, with the command line as a user would.

    `model` is one of `MODELS`, one of `CEILINGS`, or the name of a rung.

    Raises `Fault` with the command's own words when that fails.
    """
    rung = MODELS.get(model) or CEILINGS["transformer"].get(model, model)
    config = folder / "flyweight.toml"
    durable.write_bytes(config, _CONFIG.format(history=history).encode())
    result = folder / "export.json"
    words = ["export", "--untrained", "--items", items, "--rung", rung, "--config", config, "--json", result]
    flyweight(words, {}, ROOT)
    (sealed,) = msgspec.json.decode(result.read_bytes())["artifacts"]
    flyweight(["promote", sealed["path"], "--force", "--config", config], {}, ROOT)
    return World(model, config, open_artifact(Path(sealed["path"])), redis_url)


def fill(world: World) -> None:
    """Give every known user of the Redis a history of items of this world's artifact, as long as it reads."""
    numbers, history = world.artifact.catalog.item_numbers, world.artifact.manifest.max_history
    histories = np.random.default_rng(1).choice(numbers, size=(USERS, history))
    with connect(world.redis_url) as redis:
        known = (History(user_id(n), numbers, np.arange(history)) for n, numbers in enumerate(histories))
        write_histories(redis, known, longest=history, ttl_seconds=_TTL_SECONDS)


def user_id(number: int) -> str:
    """The ids that predict.lua asks for."""
    return f"u{number:05d}"
