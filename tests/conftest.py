"""The tiny planted world: a log with something to learn, walked once from split to measured artifacts."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from contracts.pointer import find_artifact
from contracts.sections import Settings
from contracts.settings import read_settings

SMALL_AND_QUICK = """
[training]
max-history = 10
threads = 1
refit = "none"

[item-to-item]
windows = [5, 20]
decays = [0.6, 1.0]
idf = [0.0, 0.5]

[ials]
factors = 8
iterations = 3
regularizations = [1.0]
alphas = [10.0]

[sasrec]
dimension = 16
layers = 1
heads = 1
epochs = 2

[jpq]
codebooks = 4
centroids = 16

[student]
dimension = 8
prefixes = 500
guesses = 10

[export]
variants = ["fp32"]

[measuring]
batch-sizes = [1, 8]
rounds = 2
calls-per-round = 5
resamples = 200
"""


THREE_RUNGS = ("popularity", "item-to-item", "sasrec")
"""Enough of the ladder for tests that are not about the models."""


@pytest.fixture(autouse=True)
def _only_the_settings_of_the_test(monkeypatch):
    """What the shell sets for a service must not reach a test."""
    for name in ("PORT", "REDIS_URL", "FLYWEIGHT_HOST", "FLYWEIGHT_STATE", "FLYWEIGHT_CONFIG", "ARTIFACT_DIR"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class World:
    """A project folder: a log, flyweight.toml, and what the verbs wrote so far. Tests that write take a copy."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def config(self) -> Path:
        return self.root / "flyweight.toml"

    @property
    def settings(self) -> Settings:
        return read_settings(self.config, environ={})

    def artifact(self, rung: str) -> Artifact:
        return find_artifact(self.settings.paths.artifacts, f"{rung}:fp32")

    def copy(self, root: Path) -> "World":
        shutil.copytree(self.root, root)
        return World(root)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A sample log of 400 users and 60 items, and settings that make everything small and quick."""
    from models.logs.sample import write_sample

    root = tmp_path_factory.mktemp("world")
    write_sample(root / "log", users=400, items=60, interactions=6000, seed=7, signal=0.9)
    (root / "flyweight.toml").write_text(SMALL_AND_QUICK)
    return World(root)


@pytest.fixture(scope="session")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A copy of the world after train and export of popularity, item-to-item and a very small sasrec."""
    from export.exporting import export_run
    from models.splits.split import split_log
    from models.training import train

    world = world.copy(tmp_path_factory.mktemp("exported") / "world")
    split = split_log(world.log, world.settings)
    for rung in THREE_RUNGS:
        export_run(train(split, rung, world.settings), world.settings)
    return world


@pytest.fixture(scope="session")
def measured(exported: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A copy of the exported world in which all artifacts were measured together."""
    from export.measuring.candidates import choose_candidates, split_of
    from export.measuring.measure import measure

    world = exported.copy(tmp_path_factory.mktemp("measured") / "world")
    paths = world.settings.paths
    chosen = choose_candidates(paths.artifacts, ())
    measure(chosen, split_of(chosen[0], paths.runs), world.settings)
    return world
