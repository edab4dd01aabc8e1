"""Checksums once when a service starts: whoever has verified an artifact tells the processes that it starts.

The command, the parent of all workers and each worker open the same artifact. Of one with ten million items each
would read 2.4 GB.
"""

import os
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path

from contracts.artifact import MANIFEST, Artifact, open_artifact

_VARIABLE = "SERVICE_CHECKED_ARTIFACTS"
_verified = set(filter(None, os.environ.get(_VARIABLE, "").split(";")))
"""The marks of what was verified by this process, and by who started it before that."""


def open_checked(path: Path) -> Artifact:
    """Open an artifact and verify it, unless that was done by us, or by who started us, and no file has changed
    since, as far as the file system tells. Raises `ArtifactFault`."""
    artifact = open_artifact(path, verify=False)
    mark = _mark(artifact)
    if mark not in _verified:
        artifact = open_artifact(path)
        if mark is not None:
            _verified.add(mark)
    return replace(artifact, is_verified=True)


def tell(environ: MutableMapping[str, str]) -> None:
    """Whoever is started with `environ` need not read again what we have."""
    environ[_VARIABLE] = ";".join(sorted(_verified))


def _mark(artifact: Artifact) -> str | None:
    """What the file system says of the files: another after any of them was written or replaced, whatever times
    its writer gave it. None where one is missing."""
    marks = [artifact.version]
    for name in (MANIFEST, *sorted(artifact.manifest.files)):
        try:
            found = (artifact.path / name).stat()
        except OSError:  # who verifies it says so
            return None
        marks.append(f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size:x}-{found.st_ctime_ns:x}")
    return " ".join(marks)
