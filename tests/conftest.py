"""The tiny planted world: a log with something to learn, walked once from split to measured artifacts."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from contracts.sections import Measuring, Paths, Sasrec, Settings, Training
from contracts.settings import read_settings


@pytest.fixture(autouse=True)
def _only_the_settings_of_the_test(monkeypatch):
    """What the shell sets for a service must not reach a test."""
    for name in ("PORT", "REDIS_URL", "FLYWEIGHT_HOST", "FLYWEIGHT_STATE", "FLYWEIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class World:
    log: Path
    settings: Settings


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """A sample log of 400 users and 60 items, and settings that make everything small and quick."""
    from models.sample import write_sample

    root = tmp_path_factory.mktemp("world")
    write_sample(root / "log", users=400, items=60, interactions=6000, seed=7, signal=0.9)
    return World(root / "log", small_settings(root))


@pytest.fixture(scope="session")
def exported(world: World) -> World:
    """The world after train and export of popularity, item-to-item and a very small sasrec."""
    from export.exporting import export_run
    from models.ladder import RUNGS
    from models.split import split_log
    from models.training import train

    split = split_log(world.log, world.settings)
    for rung in RUNGS:
        export_run(train(split, rung, world.settings), world.settings)
    return world


def small_settings(root: Path) -> Settings:
    """Settings whose paths lie below `root`."""
    paths = Paths(**{name: root / name for name in ("artifacts", "runs", "reports", "bundle", "state")})
    return msgspec.structs.replace(
        read_settings(environ={}),
        paths=paths,
        training=Training(max_history=10, threads=1),
        sasrec=Sasrec(dimension=16, layers=1, heads=1, epochs=2),
        measuring=Measuring(batch_sizes=(1, 8), rounds=2, calls_per_round=5, resamples=200),
    )
