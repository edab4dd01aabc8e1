"""A real artifact with random weights, a real Redis with known users, and the peers' environment."""

from collections.abc import Iterator

import msgspec
import pytest

from contracts.pointer import move_pointer
from contracts.sections import Paths, Settings
from export.exporting import export_untrained
from loadtests.peers import ARTIFACT_VARIABLE
from loadtests.peers.world import World, fill
from service.embedded_redis import embedded_redis

ITEMS = 60


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The light model over few items, promoted, with every user of the bench in Redis."""
    root = tmp_path_factory.mktemp("bench")
    settings = Settings(paths=Paths(artifacts=root / "artifacts"))
    artifact = export_untrained("mean", ITEMS, settings)
    move_pointer(settings.paths.artifacts, artifact.path)
    config = root / "flyweight.toml"
    config.write_bytes(msgspec.toml.encode({"paths": {"artifacts": "artifacts"}}))
    with embedded_redis(root / "redis") as url:
        made = World("light", config, artifact, url)
        fill(made)
        yield made


@pytest.fixture
def told(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """What the bench tells a contender through its environment, told to this process."""
    monkeypatch.setenv("REDIS_URL", world.redis_url)
    monkeypatch.setenv("FLYWEIGHT_CONFIG", str(world.config))
    monkeypatch.setenv(ARTIFACT_VARIABLE, str(world.artifact.path))
    return world


@pytest.fixture
def answer_of_wrk():
    """A good answer for the stub, as predict.lua wants it."""

    def answer(n: int, body: dict, request_id: str) -> tuple[int, dict]:
        items = [{"item_id": f"i{place}", "score": 1.0} for place in range(body["k"])]
        return 200, {"request_id": request_id, "items": items, "source": "model", "reason": "ok"}

    return answer
