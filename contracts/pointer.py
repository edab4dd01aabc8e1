"""`artifacts/promoted`: one line of text that says what serves; and how a name finds an artifact."""

import re
from pathlib import Path

from contracts import durable
from contracts.artifact import Artifact, open_artifact, sealed_artifacts
from contracts.faults import ArtifactFault

POINTER = "promoted"
_NAME = re.compile(r"(?P<rung>[a-z0-9-]+):(?P<variant>[a-z0-9-]+)")


def read_pointer(artifacts: Path) -> Path | None:
    """Where the promoted artifact lies, or None when nothing is promoted. Raises `ArtifactFault` for a line
    that leads elsewhere."""
    try:
        line = (artifacts / POINTER).read_text().strip()
    except FileNotFoundError:
        return None
    if Path(line).is_absolute() or ".." in Path(line).parts or "\n" in line:
        raise ArtifactFault(f"{artifacts / POINTER} says {line!r}; expected one path below {artifacts}/.")
    return artifacts / line if line else None


def move_pointer(artifacts: Path, artifact: Path) -> None:
    """Promote `artifact`, a directory under `artifacts/`, in one step. Raises `ArtifactFault` elsewhere."""
    durable.write_bytes(artifacts / POINTER, f"{place_under(artifacts, artifact)}\n".encode())


def place_under(artifacts: Path, artifact: Path) -> str:
    """The path of `artifact` as the pointer names it, relative to `artifacts/`. Raises `ArtifactFault`."""
    if not artifact.resolve().is_relative_to(artifacts.resolve()):
        raise ArtifactFault(f"{artifact} is not under {artifacts}/. Copy it there, then promote the copy.")
    return str(artifact.resolve().relative_to(artifacts.resolve()))


def find_artifact(artifacts: Path, reference: str) -> Artifact:
    """The artifact meant by a path, by `RUNG:VARIANT` (the newest sealed one; a refit, or random weights, only
    where there is nothing else) or by `promoted`.

    Raises `ArtifactFault` naming what is there when nothing matches.
    """
    if reference == POINTER:
        return open_artifact(_promoted(artifacts))
    if match := _NAME.fullmatch(reference):
        sealed = sealed_artifacts(artifacts)
        named = [a for a in sealed if a.name == reference]
        named = [a for a in named if a.manifest.training and not a.manifest.figures_of] or named
        if not named:
            names = ", ".join(sorted({a.name for a in sealed})) or "none"
            raise ArtifactFault(
                f"no artifact {reference} under {artifacts}/; sealed there: {names}. "
                f"Make it with `flyweight train --rung {match['rung']}` and `flyweight export`."
            )
        return open_artifact(named[-1].path)
    if not Path(reference).is_dir():
        raise ArtifactFault(
            f"{reference!r} names no artifact: expected a directory, RUNG:VARIANT (as in "
            f"item-to-item:fp32) or `{POINTER}`."
        )
    return open_artifact(Path(reference))


def _promoted(artifacts: Path) -> Path:
    path = read_pointer(artifacts)
    if path is None:
        raise ArtifactFault(
            f"nothing is promoted: {artifacts / POINTER} does not exist. "
            "Run `flyweight train`, `export`, `measure` and `promote` first, or `make demo`."
        )
    return path
