"""Runs and splits of the tiny world, and folders to write into."""

import msgspec
import pytest

from contracts.artifact import Artifact
from contracts.sections import Settings
from models.runs import Run, newest_run
from models.splits.split import Split, split_log


@pytest.fixture(scope="session")
def split(exported) -> Split:
    return split_log(exported.log, exported.settings)


@pytest.fixture(scope="session")
def run_of(exported):
    """The run of a rung: `run_of("sasrec")`."""

    def find(rung: str) -> Run:
        return newest_run(exported.settings.paths.runs, rung)

    return find


@pytest.fixture(scope="session")
def sealed(exported) -> dict[str, Artifact]:
    """Artifacts by rung; opened once, never written to."""
    return {rung: exported.artifact(rung) for rung in ("popularity", "item-to-item", "sasrec")}


@pytest.fixture
def elsewhere(exported, tmp_path) -> Settings:
    """The world's settings, with an empty artifacts folder."""
    paths = msgspec.structs.replace(exported.settings.paths, artifacts=tmp_path / "artifacts")
    return msgspec.structs.replace(exported.settings, paths=paths)
