import asyncio
import shutil
from pathlib import Path

import pytest

from contracts.artifact import Artifact, Probe
from contracts.faults import ArtifactFault
from contracts.pointer import move_pointer
from contracts.promotions import RECORD
from contracts.sections import Paths
from service.rollout import Rollout
from tests.service.promoted import record_promotions


def make_rollout(root: Path) -> Rollout:
    return Rollout(Paths(artifacts=root / "artifacts", bundle=root / "bundle"), check_ms=1)


@pytest.fixture
def rollout(tmp_path: Path, promoted: Artifact) -> Rollout:
    rollout = make_rollout(tmp_path)
    rollout.boot()
    return rollout


def test_nothing_promoted_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ArtifactFault, match=r"nothing is promoted.*flyweight train"):
        make_rollout(tmp_path).boot()


def test_bundle_serves_where_nothing_was_promoted(tmp_path: Path, promoted: Artifact) -> None:
    shutil.move(promoted.path.parent, tmp_path / "bundle")
    rollout = make_rollout(tmp_path)
    rollout.boot()
    assert rollout.current.artifact.path.parent == tmp_path / "bundle"


def test_artifacts_come_before_the_bundle(tmp_path: Path, promoted: Artifact) -> None:
    shutil.copytree(promoted.path.parent, tmp_path / "bundle")
    rollout = make_rollout(tmp_path)
    rollout.boot()
    assert rollout.current.artifact.path == promoted.path


def test_damaged_artifact_does_not_boot(tmp_path: Path, promoted: Artifact) -> None:
    promoted.model_path.write_bytes(promoted.model_path.read_bytes()[:-1])
    with pytest.raises(ArtifactFault, match="bytes"):
        make_rollout(tmp_path).boot()


@pytest.mark.parametrize("breakage", ["wrong probe", "missing file", "no artifact", "no graph"])
def test_broken_promotion_at_boot_gives_way_to_what_served_before_and_the_next_one_is_taken(
    tiny, tmp_path: Path, promoted: Artifact, caplog: pytest.LogCaptureFixture, monkeypatch, breakage: str
) -> None:
    artifacts, counted = promoted.path.parent, []
    monkeypatch.setattr("service.telemetry.count_refused_promotion", lambda: counted.append(1))
    also_broken = tiny.seal(artifacts, variant="fp16", make_probes=lambda model: [Probe([0], [7], [9.0])])
    wrong = [Probe([0], [7], [9.0])] if breakage == "wrong probe" else []
    broken = tiny.seal(artifacts, variant="int8-static", make_probes=lambda model: wrong)
    if breakage == "missing file":
        broken.model_path.unlink()
    elif breakage == "no artifact":
        shutil.rmtree(broken.path)
    elif breakage == "no graph":
        broken.model_path.write_bytes(b"graph")
    record_promotions(artifacts, promoted, also_broken, broken)

    rollout = make_rollout(tmp_path)
    rollout.boot()
    assert rollout.current.artifact.version == promoted.version
    assert caplog.text.count("promotion refused") == len(counted) == 2
    asyncio.run(rollout.check())
    assert len(counted) == 2

    good = tiny.seal(artifacts, variant="int8-dynamic")
    move_pointer(artifacts, good.path)
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == good.version


@pytest.mark.parametrize("history", ["none", "damaged", "broken too"])
def test_broken_promotion_with_nothing_sound_before_it_does_not_boot(
    tiny, tmp_path: Path, promoted: Artifact, history: str
) -> None:
    artifacts = promoted.path.parent
    broken = tiny.seal(artifacts, variant="fp16")
    record_promotions(artifacts, promoted, broken)
    broken.model_path.write_bytes(b"graph")
    if history == "none":
        (artifacts / RECORD).unlink()
    elif history == "damaged":
        (artifacts / RECORD).write_bytes(b"[")
    else:
        promoted.model_path.unlink()
    with pytest.raises(ArtifactFault, match="fp16"):
        make_rollout(tmp_path).boot()


def test_promotion_is_followed(tiny, rollout: Rollout, promoted: Artifact) -> None:
    async def promote_and_wait() -> None:
        following = asyncio.create_task(rollout.follow())
        move_pointer(promoted.path.parent, other.path)
        while rollout.current.artifact.version != other.version:
            await asyncio.sleep(0.001)
        following.cancel()

    other = tiny.seal(promoted.path.parent, variant="fp16")
    asyncio.run(asyncio.wait_for(promote_and_wait(), 20))
    assert rollout.current.model.variant == "fp16"


@pytest.mark.parametrize("breakage", ["wrong probe", "missing file", "no artifact"])
def test_broken_promotion_leaves_the_old_one_serving_and_the_next_one_is_taken(
    tiny, rollout: Rollout, promoted: Artifact, caplog: pytest.LogCaptureFixture, breakage: str
) -> None:
    artifacts = promoted.path.parent
    wrong = [Probe([0], [7], [9.0])] if breakage == "wrong probe" else []
    broken = tiny.seal(artifacts, variant="fp16", make_probes=lambda model: wrong)
    if breakage == "missing file":
        broken.model_path.unlink()
    if breakage == "no artifact":
        shutil.rmtree(broken.path)
    move_pointer(artifacts, broken.path)
    asyncio.run(rollout.check())
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == promoted.version
    assert caplog.text.count("promotion refused") == 1

    good = tiny.seal(artifacts, variant="int8-dynamic")
    move_pointer(artifacts, good.path)
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == good.version


def test_promotion_that_was_refused_is_tried_again_when_it_is_promoted_again(
    tiny, rollout: Rollout, promoted: Artifact
) -> None:
    other = tiny.seal(promoted.path.parent, variant="fp16")
    content = other.model_path.read_bytes()
    other.model_path.unlink()
    move_pointer(promoted.path.parent, other.path)
    asyncio.run(rollout.check())
    other.model_path.write_bytes(content)
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == promoted.version
    move_pointer(promoted.path.parent, other.path)
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == other.version


def test_promoting_what_serves_already_loads_nothing(rollout: Rollout, promoted: Artifact) -> None:
    before = rollout.current
    move_pointer(promoted.path.parent, promoted.path)
    asyncio.run(rollout.check())
    assert rollout.current is before


def make_unreadable(pointer: Path, kind: str) -> None:
    pointer.unlink()
    if kind == "directory":
        pointer.mkdir()
    else:
        pointer.write_bytes(b"\xff" if kind == "not UTF-8" else b"../elsewhere")


@pytest.mark.parametrize("kind", ["directory", "not UTF-8", "elsewhere"])
def test_pointer_that_cannot_be_read_is_told_once_and_following_goes_on(
    tiny, rollout: Rollout, promoted: Artifact, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    pointer = promoted.path.parent / "promoted"
    make_unreadable(pointer, kind)
    asyncio.run(rollout.check())
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == promoted.version
    assert caplog.text.count("promotion refused") == 1

    pointer.rmdir() if kind == "directory" else pointer.unlink()
    other = tiny.seal(promoted.path.parent, variant="fp16")
    move_pointer(promoted.path.parent, other.path)
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == other.version


def test_pointer_that_cannot_be_read_does_not_boot(tmp_path: Path, promoted: Artifact) -> None:
    make_unreadable(promoted.path.parent / "promoted", "directory")
    with pytest.raises(ArtifactFault, match="cannot be read"):
        make_rollout(tmp_path).boot()


def test_pointer_that_may_not_be_read_names_the_user_and_the_remedy(
    tmp_path: Path, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:  # root, as whom tests may run, is never refused
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("service.promoted.read_pointer", refuse)
    with pytest.raises(ArtifactFault, match=r"may not be read by user \d+.*`chmod -R a\+rX"):
        make_rollout(tmp_path).boot()


def test_following_survives_whatever_a_look_raises_and_counts_it_once(
    tiny, rollout: Rollout, promoted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, counted = [], []

    def fail(paths: Paths) -> None:
        looks.append(paths)
        raise RuntimeError("a bug")

    async def fail_then_promote() -> None:
        following = asyncio.create_task(rollout.follow())
        with monkeypatch.context() as patch:
            patch.setattr("service.rollout.read_promotion", fail)
            while len(looks) < 3:
                await asyncio.sleep(0.001)
        while rollout.current.artifact.version != other.version:
            await asyncio.sleep(0.001)
        following.cancel()

    monkeypatch.setattr("service.telemetry.count_refused_promotion", lambda: counted.append(1))
    other = tiny.seal(promoted.path.parent, variant="fp16")
    move_pointer(promoted.path.parent, other.path)
    asyncio.run(asyncio.wait_for(fail_then_promote(), 20))
    assert counted == [1]


def test_pointer_that_is_taken_away_changes_nothing(rollout: Rollout, promoted: Artifact) -> None:
    (promoted.path.parent / "promoted").unlink()
    asyncio.run(rollout.check())
    assert rollout.current.artifact.version == promoted.version
