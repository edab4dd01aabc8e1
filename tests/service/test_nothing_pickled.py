"""Nothing that serves loads a pickle: neither our sources nor what is sealed. What BentoML imports is its own
matter: it gets no pickle from us to load."""

import ast
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.artifact import Artifact
from tests.service.pickles import is_pickle, pickles_in

ROOT = Path(__file__).parent.parent.parent
LOADERS = ("pickle", "cPickle", "_pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal", "torch")
SOURCES = [path for room in ("service", "contracts") for path in sorted((ROOT / room).glob("*.py"))]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_source_that_serves_imports_no_loader_of_pickles(source: Path) -> None:
    tree = ast.parse(source.read_text())
    assert not set(imported(tree)) & set(LOADERS)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) in ("np.load", "numpy.load"):
            assert "allow_pickle=False" in ast.unparse(call)


def test_sealed_artifact_holds_no_pickle(artifact: Artifact) -> None:
    assert {path.name for path in artifact.path.iterdir()} >= {"model.onnx", "item-ids.txt"}
    assert pickles_in(artifact.path) == []


def test_pickles_are_found_wherever_they_hide(tmp_path: Path) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert is_pickle(pickle.dumps({"a": [1, "b"]}, protocol))
    (tmp_path / "model.bin").write_bytes(pickle.dumps([1]))
    (tmp_path / "model.pt").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
        archive.writestr("archive/other", pickle.dumps([1]))
    np.save(tmp_path / "array.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "numbers.npy", np.arange(3))
    (tmp_path / "text.txt").write_text("one line.")
    found = [line.removeprefix(f"{tmp_path}/").partition(":")[0] for line in pickles_in(tmp_path)]
    assert found == ["array.npy", "model.bin", "model.pt", "model.zip", "model.zip"]
