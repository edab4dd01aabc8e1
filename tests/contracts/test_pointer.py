"""What serves, and how a name finds an artifact."""

import os

import pytest

from contracts.artifact import MANIFEST, MODEL
from contracts.faults import ArtifactFault
from contracts.pointer import find_artifact, move_pointer, read_pointer


def test_nothing_promoted_reads_as_none_and_is_refused_with_the_remedy(artifacts):
    assert read_pointer(artifacts) is None
    with pytest.raises(ArtifactFault, match=r"nothing is promoted: .*promoted does not exist.*make demo"):
        find_artifact(artifacts, "promoted")


def test_promoted_artifact_is_one_line_relative_to_the_artifacts_folder(seal_one, artifacts):
    artifact = seal_one()
    move_pointer(artifacts, artifact.path)
    assert (artifacts / "promoted").read_text() == f"{artifact.path.name}\n"
    assert read_pointer(artifacts) == artifact.path
    assert find_artifact(artifacts, "promoted").version == artifact.version


def test_pointer_follows_a_folder_that_moves(seal_one, artifacts, tmp_path):
    artifact = seal_one()
    move_pointer(artifacts, artifact.path)
    artifacts.rename(tmp_path / "elsewhere")
    assert find_artifact(tmp_path / "elsewhere", "promoted").version == artifact.version


def test_artifact_outside_the_folder_cannot_be_promoted(seal_one, artifacts, tmp_path):
    artifact = seal_one()
    move_pointer(artifacts, artifact.path)
    with pytest.raises(ArtifactFault, match=r"is not under .* Copy it there"):
        move_pointer(artifacts, tmp_path / "elsewhere")
    assert read_pointer(artifacts) == artifact.path


def test_rung_and_variant_find_the_newest_sealed(seal_one, artifacts):
    older, newer = seal_one(model=b"one"), seal_one(model=b"two")
    seal_one(rung="item-to-item")
    os.utime(older.path / MANIFEST, (1, 1))
    assert find_artifact(artifacts, "popularity:fp32").version == newer.version
    os.utime(newer.path / MANIFEST, (0, 0))
    assert find_artifact(artifacts, "popularity:fp32").version == older.version


def test_path_finds_the_artifact_there(seal_one, artifacts):
    artifact = seal_one()
    assert find_artifact(artifacts, str(artifact.path)).version == artifact.version


def test_unknown_rung_is_refused_with_what_is_sealed(seal_one, artifacts):
    seal_one()
    with pytest.raises(ArtifactFault) as refused:
        find_artifact(artifacts, "sasrec:int8-dynamic")
    assert "no artifact sasrec:int8-dynamic" in str(refused.value)
    assert "sealed there: popularity:fp32" in str(refused.value)
    assert "flyweight train --rung sasrec" in str(refused.value)


@pytest.mark.parametrize("reference", ["nonsense", "no/such/folder", "Popularity:FP32"])
def test_other_words_are_refused_with_what_is_expected(artifacts, reference):
    with pytest.raises(ArtifactFault, match="expected a directory, RUNG:VARIANT"):
        find_artifact(artifacts, reference)


def test_damaged_artifact_is_found_by_no_name(seal_one, artifacts):
    artifact = seal_one()
    move_pointer(artifacts, artifact.path)
    (artifact.path / MODEL).write_bytes(b"gravy")
    for reference in ("promoted", "popularity:fp32", str(artifact.path)):
        with pytest.raises(ArtifactFault, match="sha256"):
            find_artifact(artifacts, reference)


@pytest.mark.parametrize("line", ["/etc", "../elsewhere", "a/../../b"])
def test_pointer_that_leads_elsewhere_is_refused(tmp_path, line):
    (tmp_path / "promoted").write_text(f"{line}\n")
    with pytest.raises(ArtifactFault, match="expected one path below"):
        read_pointer(tmp_path)
