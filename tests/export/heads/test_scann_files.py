"""An artifact with an index whose files are not what they should be is refused, in words."""

import sys
from pathlib import Path

import msgspec
import pytest

from contracts.artifact import QUERY_MODEL, SEARCHED, Artifact, open_artifact
from contracts.faults import ArtifactFault, UsageFault
from contracts.sections import Paths, Settings
from export.exporting import export_untrained
from service.predictor import OnnxPredictor


def exported(artifacts: Path) -> Artifact:
    return export_untrained("ials", 400, Settings(paths=Paths(artifacts=artifacts)), variant="scann")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Artifact:
    return exported(tmp_path_factory.mktemp("sealed"))


def copy_of(artifact: Artifact, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in artifact.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("name", [QUERY_MODEL, *SEARCHED])
def test_without_one_of_its_files_it_is_refused_by_name(sealed, tmp_path, name):
    folder = copy_of(sealed, tmp_path)
    (folder / name).unlink()
    with pytest.raises(ArtifactFault, match=f"{name} is missing"):
        open_artifact(folder)


@pytest.mark.parametrize("name", SEARCHED)
def test_a_damaged_index_never_reaches_the_library(sealed, tmp_path, name):
    """It would end the process; and whoever opens an artifact need not have verified it."""
    folder = copy_of(sealed, tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactFault, match=f"{name} has sha256"):
        OnnxPredictor(open_artifact(folder, verify=False))


def test_an_index_of_something_else_is_refused(sealed, tmp_path):
    folder = copy_of(sealed, tmp_path)
    (folder / "scann_assets.pbtxt").write_text("nothing it knows")
    with pytest.raises(ArtifactFault, match="an index that cannot be read"):
        OnnxPredictor(Artifact(folder, msgspec.structs.replace(sealed.manifest, files={}), "unsealed"))


def test_a_pickle_beside_the_index_is_not_opened(sealed, tmp_path):
    folder = copy_of(sealed, tmp_path)
    (folder / "scann_docids.pkl").write_bytes(b"anything")
    with pytest.raises(ArtifactFault, match="no part of an artifact"):
        OnnxPredictor(open_artifact(folder))


def test_without_scann_nothing_is_served_or_made_and_the_remedy_is_named(sealed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scann", None)
    with pytest.raises(ArtifactFault, match="pip install"):
        OnnxPredictor(sealed)
    with pytest.raises(UsageFault, match="ScaNN is not installed"):
        exported(tmp_path)
