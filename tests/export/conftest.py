"""Runs and splits of the tiny world, and folders to write into."""

from collections.abc import Iterator

import msgspec
import pytest

from contracts.artifact import Artifact
from contracts.sections import Paths, Settings
from models.runs import Run, newest_run
from models.splits.split import Split, split_log
from service.embedded_redis import embedded_redis
from service.redis_clients import connect
from tests.export.filled_streams import Filled


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


@pytest.fixture(scope="session")
def streams_url(tmp_path_factory) -> Iterator[str]:
    """A real Redis, shared by tests that fill its streams."""
    with embedded_redis(tmp_path_factory.mktemp("streams")) as url:
        yield url


@pytest.fixture
def event_settings(tmp_path) -> Settings:
    """Settings with a folder for events and one for what was served, which are not there yet."""
    return Settings(paths=Paths(events=tmp_path / "events", served=tmp_path / "served"))


@pytest.fixture
def filled(streams_url, event_settings) -> Iterator[Filled]:
    with connect(streams_url) as redis:
        redis.flushall()
        redis.config_set("appendonly", "no")  # quicker, and Redis survives the tests
        yield Filled(redis, event_settings.paths.events, event_settings.paths.served)
