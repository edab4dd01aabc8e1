"""Workers that are given an index read it one after the other: who reads it answers nobody meanwhile."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from contracts import durable
from contracts.pointer import move_pointer
from contracts.sections import Paths, Settings
from export.exporting import export_untrained
from service.rollout import Rollout, warm_up


@pytest.fixture
def another_workers_turn(tmp_path: Path) -> contextlib.ExitStack:
    with contextlib.ExitStack() as held:
        held.enter_context(durable.lock(tmp_path / "state" / "index.lock"))
        yield held


@pytest.mark.parametrize(("variant", "looks"), [("scann", 3), ("fp32", 0)])
def test_an_index_waits_until_the_others_have_read_theirs_and_a_graph_for_nobody(
    tmp_path: Path, another_workers_turn: contextlib.ExitStack, monkeypatch, variant: str, looks: int
) -> None:
    paths = Paths(artifacts=tmp_path / "artifacts", state=tmp_path / "state")
    settings = Settings(paths=paths)
    before, given = (export_untrained("ials", 400, settings, variant=kind) for kind in ("fp16", variant))
    rollout, read, read_at_looks = Rollout(paths, check_ms=1), [], []
    move_pointer(paths.artifacts, before.path)
    rollout.boot()
    move_pointer(paths.artifacts, given.path)

    async def look_again(seconds: float) -> None:
        read_at_looks.append(len(read))
        if len(read_at_looks) == 3:
            another_workers_turn.close()

    monkeypatch.setattr("service.rollout.asyncio.sleep", look_again)
    monkeypatch.setattr("service.rollout.warm_up", lambda artifact: read.append(artifact) or warm_up(artifact))
    asyncio.run(rollout.check())
    assert read_at_looks == [0] * looks
    assert rollout.current.artifact.version == given.version
