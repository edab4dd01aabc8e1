"""`bundle/` is the promoted artifact and nothing else."""

import pytest

from contracts.faults import UsageFault
from contracts.pointer import read_pointer
from export.promotion.bundle import refresh_bundle
from service.rollout import load


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_bundle_holds_what_is_sealed_and_a_pointer_to_it(measured, tmp_path):
    artifact = measured.artifact("sasrec")
    assert list(artifact.path.glob("measured-*.json"))  # stands beside it, and stays there
    refresh_bundle(tmp_path / "bundle", artifact)
    sealed = ["manifest.json", *artifact.manifest.files]
    assert files_of(tmp_path / "bundle") == sorted(["promoted", *(f"{artifact.path.name}/{f}" for f in sealed)])
    assert load(read_pointer(tmp_path / "bundle")).artifact.version == artifact.version


def test_another_promotion_replaces_the_whole_bundle(sealed, tmp_path):
    refresh_bundle(tmp_path / "bundle", sealed["sasrec"])
    refresh_bundle(tmp_path / "bundle", sealed["popularity"])
    names = {path.name for path in (tmp_path / "bundle").iterdir()}
    assert names == {"promoted", sealed["popularity"].path.name}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_that_is_no_bundle_is_never_replaced(sealed, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageFault, match=r"holds 'thesis.txt': it is no bundle"):
        refresh_bundle(tmp_path / "home", sealed["sasrec"])
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


def test_the_artifacts_themselves_are_no_bundle(sealed):
    artifacts = sealed["sasrec"].path.parent
    with pytest.raises(UsageFault, match="is no bundle"):
        refresh_bundle(artifacts, sealed["sasrec"])
