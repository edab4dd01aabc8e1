"""`make image` up to the engine: what is said when it cannot go on. The image itself: `make image-test`."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.chart import ROOT

BENTOML = """#!/bin/sh
case "$1" in
build) eval "$BUILDING" ;;
*) echo "bentoml $*" >> "$CALLS" ;;
esac
"""
MADE = "echo __tag__:flyweight:abc"


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., tuple[int, str, list[str]]]:
    """Run the script in a folder with a space in its name, with a `bentoml` and an engine that write down how they
    are called. Gives exit code, standard error, calls."""
    root, calls = tmp_path / "a tree", tmp_path / "calls"
    for folder in ("deploy/image", "bundle", ".venv/bin"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "image" / "build", root / "deploy" / "image")
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "bundle" / "promoted").write_text("sasrec/int8-dynamic-7925d03078c1\n")
    calls.touch()
    programs = {
        root / ".venv/bin/bentoml": BENTOML,
        tmp_path
        / "bin"
        / "engine": '#!/bin/sh\ncase "$1" in info|inspect) ;; *) echo "engine $*" >> "$CALLS";; esac\n',
    }
    for path, text in programs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(**variables: str) -> tuple[int, str, list[str]]:
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        told = {"PATH": path, "CALLS": str(calls), "BACKEND": "engine", "BUILDING": MADE, **variables}
        ended = subprocess.run([root / "deploy/image/build"], env=told, capture_output=True, text=True, timeout=20)
        return ended.returncode, ended.stderr, calls.read_text().splitlines()

    return run


def test_the_bento_that_was_just_made_is_containerized_and_labelled(build) -> None:
    code, _, (containerize, image) = build(BUILD_OPTS="isolation=chroot network=host")
    assert code == 0
    assert containerize.startswith("bentoml containerize flyweight:abc --backend engine --opt isolation=chroot")
    assert image.startswith("engine build --isolation=chroot --network=host")
    assert "ARTIFACT_VERSION=7925d03078c1 " in image


@pytest.mark.parametrize("building", ["echo 'no such service' >&2; exit 1", "echo 'no such service' >&2"])
def test_a_bento_that_cannot_be_made_is_told_with_what_bentoml_said(build, building: str) -> None:
    code, said, calls = build(BUILDING=building)
    assert (code, calls) == (2, [])
    assert "no such service" in said
    assert said.splitlines()[-1].startswith("image: bentoml build failed")


def test_a_failure_without_a_word_is_told_too(build) -> None:
    code, said, calls = build(BUILDING="exit 1")
    assert (code, calls) == (2, [])
    assert said.splitlines()[-1].startswith("image: bentoml build failed")


def test_an_engine_that_is_not_there_is_told_by_name(build) -> None:
    code, said, calls = build(BACKEND="dockr")
    assert (code, calls) == (2, [])
    assert "found none of dockr that works" in said
