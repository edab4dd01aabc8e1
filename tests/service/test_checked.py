"""Checksums are taken once for a service, and again of whatever changed since."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts import artifact as contract
from contracts.artifact import MODEL, POPULAR, Artifact
from contracts.faults import ArtifactFault
from service.checked import open_checked, tell


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read for their checksum."""
    names, seal_of = [], contract._seal_of
    monkeypatch.setattr(contract, "_seal_of", lambda path: names.append(path.name) or seal_of(path))
    monkeypatch.setattr("service.checked._verified", set())
    return names


def test_an_artifact_is_read_once_and_then_taken_for_verified(promoted: Artifact, hashed: list[str]) -> None:
    assert open_checked(promoted.path).is_verified
    assert sorted(hashed) == sorted(promoted.manifest.files)
    hashed.clear()
    again = open_checked(promoted.path)
    assert again.is_verified and again.version == promoted.version
    assert hashed == []


def test_who_is_started_by_us_relies_on_us(promoted: Artifact, hashed: list[str]) -> None:
    look = (
        "import sys, contracts.artifact as a;"
        "a._seal_of = lambda path: sys.exit(f'took a checksum of {path.name}');"
        "from service.checked import open_checked; from pathlib import Path;"
        f"open_checked(Path({str(promoted.path)!r}))"
    )
    environment = dict(os.environ)
    tell(environment)
    alone = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True)
    assert alone.stderr.startswith("took a checksum")
    open_checked(promoted.path)
    tell(environment)
    subprocess.run([sys.executable, "-c", look], env=environment, check=True)


@pytest.mark.parametrize("way", ["written in place", "replaced"])
def test_what_changed_since_is_read_again_whatever_times_it_was_given(
    promoted: Artifact, hashed: list[str], tmp_path: Path, way: str
) -> None:
    open_checked(promoted.path)
    changed = promoted.path / MODEL
    content, times = bytearray(changed.read_bytes()), changed.stat()
    content[-1] ^= 1
    while changed.stat().st_ctime_ns == times.st_ctime_ns:  # a file system's clock ticks every few milliseconds
        if way == "replaced":
            (tmp_path / "other").write_bytes(content)
            (tmp_path / "other").replace(changed)
        else:
            changed.write_bytes(content)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ArtifactFault, match=f"{MODEL} has sha256"):
        open_checked(promoted.path)


def test_a_file_that_is_missing_since_is_named(promoted: Artifact, hashed: list[str]) -> None:
    open_checked(promoted.path)
    (promoted.path / POPULAR).unlink()
    for _ in range(2):
        with pytest.raises(ArtifactFault, match=f"{POPULAR} is missing"):
            open_checked(promoted.path)
