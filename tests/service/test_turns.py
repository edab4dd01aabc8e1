"""Workers that are given an index read it one after the other: who reads it answers nobody meanwhile."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import durable
from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from contracts.sections import Paths, Settings
from export.exporting import export_untrained
from service.rollout import Rollout, warm_up
from service.turns import turn


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(artifacts=tmp_path / "artifacts", state=tmp_path / "state")


@pytest.fixture
def another_workers_turn(paths: Paths) -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as held:
        held.enter_context(durable.lock(paths.state / "index.lock"))
        yield held


@pytest.fixture
def at_each_look(monkeypatch: pytest.MonkeyPatch):
    """Have something done whenever somebody finds that it is not yet their turn."""

    def arrange(action) -> None:
        async def look_again(seconds: float) -> None:
            action()

        monkeypatch.setattr("service.turns.asyncio.sleep", look_again)

    return arrange


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that were loaded."""
    versions = []
    monkeypatch.setattr(
        "service.rollout.warm_up", lambda artifact: versions.append(artifact.version) or warm_up(artifact)
    )
    return versions


def serving(paths: Paths, *variants: str) -> tuple[Rollout, list[Artifact]]:
    """A worker that serves the first of these."""
    artifacts = [export_untrained("ials", 400, Settings(paths=paths), variant=variant) for variant in variants]
    move_pointer(paths.artifacts, artifacts[0].path)
    rollout = Rollout(paths, check_ms=1)
    rollout.boot()
    return rollout, artifacts


@pytest.mark.parametrize(("variant", "looks"), [("scann", 3), ("fp32", 0)])
def test_an_index_waits_until_the_others_have_read_theirs_and_a_graph_for_nobody(
    paths: Paths,
    another_workers_turn: contextlib.ExitStack,
    at_each_look,
    read: list[str],
    variant: str,
    looks: int,
) -> None:
    rollout, (_, given) = serving(paths, "fp16", variant)
    read_at_looks = []

    def look() -> None:
        read_at_looks.append(given.version in read)
        if len(read_at_looks) == 3:
            another_workers_turn.close()

    at_each_look(look)
    move_pointer(paths.artifacts, given.path)
    asyncio.run(rollout.check())
    assert read_at_looks == [False] * looks
    assert rollout.current.artifact.version == given.version
    another_workers_turn.close()
    with durable.lock(paths.state / "index.lock", wait=False):
        pass  # the next one can have its turn


def test_what_is_no_longer_promoted_when_its_turn_comes_is_not_read(
    paths: Paths, another_workers_turn: contextlib.ExitStack, at_each_look, read: list[str]
) -> None:
    rollout, (before, given) = serving(paths, "fp16", "scann")

    def take_back() -> None:
        move_pointer(paths.artifacts, before.path)
        another_workers_turn.close()

    at_each_look(take_back)
    move_pointer(paths.artifacts, given.path)
    asyncio.run(rollout.check())
    asyncio.run(rollout.check())
    assert given.version not in read
    assert rollout.current.artifact.version == before.version


def test_without_a_lock_to_wait_for_it_goes_on_and_says_so(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    (paths.state / "index.lock").mkdir(parents=True)

    async def take() -> str:
        async with turn(paths.state):
            return "taken"

    assert asyncio.run(take()) == "taken"
    assert "not waiting for other workers" in caplog.text


def test_who_holds_the_lock_for_ever_is_not_waited_for(
    paths: Paths, another_workers_turn: contextlib.ExitStack, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.turns._PATIENCE_SECONDS", 0.01)

    async def take() -> str:
        async with turn(paths.state):
            return "taken"

    assert asyncio.run(take()) == "taken"
    assert "not waiting on" in caplog.text
