"""Moving the pointer: the decision beside the artifact, the record, the bundle, and the way back."""

import json

import pytest

from contracts.artifact import seal
from contracts.faults import ArtifactFault, UsageFault
from contracts.pointer import move_pointer, read_pointer
from contracts.promotions import read_record
from contracts.sections import Promotion
from export.promotion.decision import by_hand, decide
from export.promotion.promoting import (
    DECISION,
    LATEST,
    promote,
    read_decision,
    rollback,
    write_decision,
)


@pytest.fixture
def sealed_as(plant):
    """`sealed_as(folder, "sasrec")`: an artifact whose files are whole, though no engine could run its graph."""
    import numpy as np

    from contracts.encoding import Catalog

    def make(folder, rung):
        return seal(
            folder,
            plant(f"{rung}:fp32", 0.1).artifact.manifest,
            Catalog(["a", "b"], np.arange(2)),
            popular=np.arange(2),
            write_model=lambda path: path.write_bytes(b"graph"),
            make_probes=lambda path: [],
        )

    return make


@pytest.fixture
def place(tmp_path):
    return tmp_path / "artifacts", tmp_path / "bundle"


def promote_by_hand(place, *artifacts):
    for artifact in artifacts:
        promote(*place, artifact, by_hand(artifact))


def test_a_promotion_moves_the_pointer_the_bundle_and_the_record(place, sealed_as, popularity):
    artifact = sealed_as(place[0], "popularity")
    decision = decide([popularity], Promotion())
    entry = promote(*place, artifact, decision)
    assert (entry.action, entry.reason, entry.previous) == ("promoted", decision.reason, None)
    assert read_record(place[0]) == [entry]
    assert read_pointer(place[0]) == artifact.path
    assert read_pointer(place[1]).name == artifact.path.name


def test_the_decision_stands_beside_the_artifact_and_as_the_latest(place, sealed_as, popularity):
    artifact = sealed_as(place[0], "popularity")
    assert read_decision(artifact) is None
    decision = decide([popularity], Promotion(threshold=("size_mb <= 20",)))
    promote(*place, artifact, decision.adding("It was refitted."))
    found = read_decision(artifact)
    assert (found.winner, found.version, found.promoted) == (
        "popularity:fp32",
        "popularity@fp32",
        artifact.version,
    )
    assert found.reason == f"{decision.reason} It was refitted."
    assert (found.verdicts, found.rule, found.forced) == (decision.verdicts, decision.rule, False)
    assert found.at <= read_record(place[0])[0].at
    assert (place[0] / LATEST).read_bytes() == (artifact.path / DECISION).read_bytes()
    assert not (place[1] / artifact.path.name / DECISION).exists()  # no figures in what is packed


def test_a_decision_for_nobody_is_the_latest_and_stands_beside_nothing(place, sealed_as, popularity):
    artifact = sealed_as(place[0], "popularity")
    refused = decide([popularity], Promotion(threshold=("size_mb <= 0.01",)))
    write_decision(place[0], refused, promoted=None)
    latest = json.loads((place[0] / LATEST).read_text())
    assert (latest["winner"], latest["promoted"], latest["reason"]) == (None, None, refused.reason)
    assert read_decision(artifact) is None


def test_a_damaged_decision_is_refused_with_the_remedy(place, sealed_as):
    artifact = sealed_as(place[0], "popularity")
    (artifact.path / DECISION).write_text("{")
    with pytest.raises(ArtifactFault, match="`flyweight promote`; remove the file, and run it to decide again"):
        read_decision(artifact)


def test_a_forced_promotion_is_recorded_as_such(place, sealed_as):
    artifact = sealed_as(place[0], "popularity")
    entry = promote(*place, artifact, by_hand(artifact))
    assert (entry.action, entry.reason) == ("forced", "forced by hand, no gate asked")
    assert read_decision(artifact).forced


def test_rolling_back_goes_one_promotion_back_each_time_and_then_says_that_there_is_none(place, sealed_as):
    a, b, c = (sealed_as(place[0], rung) for rung in ("a", "b", "c"))
    promote_by_hand(place, a, b, a, c, c)  # promoting what serves already, as after a kill, changes nothing
    for expected in (a, b, a):
        assert rollback(*place).artifact == expected.path.name
        assert read_pointer(place[0]) == expected.path
        assert read_pointer(place[1]).name == expected.path.name
    with pytest.raises(UsageFault, match="nothing to roll back to"):
        rollback(*place)
    promote_by_hand(place, b)
    assert rollback(*place).artifact == a.path.name
    assert [entry.action for entry in read_record(place[0])] == [
        *["forced"] * 5, *["rolled back"] * 3, "forced", "rolled back",
    ]  # fmt: skip


def test_a_promotion_that_was_recorded_but_never_happened_is_not_gone_back_to(place, sealed_as):
    a, b, c = (sealed_as(place[0], rung) for rung in ("a", "b", "c"))
    promote_by_hand(place, a, b)
    move_pointer(place[0], a.path)  # as if killed before the pointer moved to b
    promote_by_hand(place, c)
    assert rollback(*place).artifact == a.path.name


def test_rollback_without_a_promotion_before_says_so(place, sealed_as):
    promote_by_hand(place, sealed_as(place[0], "popularity"))
    with pytest.raises(UsageFault, match="nothing to roll back to"):
        rollback(*place)


def test_an_artifact_outside_is_refused_and_nothing_is_written(tmp_path, place, sealed_as):
    outside = sealed_as(tmp_path / "elsewhere", "sasrec")
    place[0].mkdir()
    with pytest.raises(ArtifactFault, match="is not under"):
        promote_by_hand(place, outside)
    assert read_record(place[0]) == []
    assert read_decision(outside) is None
    assert not (place[0] / LATEST).exists()
    assert not place[1].exists()


def test_a_damaged_record_is_refused_rather_than_overwritten(place, sealed_as):
    artifact = sealed_as(place[0], "popularity")
    (place[0] / "promotions.json").write_text("[{")
    with pytest.raises(ArtifactFault, match="Move it away"):
        promote_by_hand(place, artifact)
    assert read_pointer(place[0]) is None
