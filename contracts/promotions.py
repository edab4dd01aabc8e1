"""`artifacts/promotions.json`: every promotion and every rollback, and what served before."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from contracts.faults import ArtifactFault
from contracts.pointer import read_pointer

RECORD = "promotions.json"
ROLLED_BACK = "rolled back"


class Entry(msgspec.Struct, frozen=True):
    """One line of the history of promotions; paths are relative to `artifacts/`."""

    at: str
    action: str
    artifact: str
    previous: str | None
    reason: str


def read_record(artifacts: Path) -> list[Entry]:
    """The history of promotions, oldest first. Raises `ArtifactFault` for a damaged one."""
    try:
        return msgspec.json.decode((artifacts / RECORD).read_bytes(), type=list[Entry])
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArtifactFault(
            f"{artifacts / RECORD} is damaged: {error}. Move it away to start a new one."
        ) from error


def current_place(artifacts: Path) -> str | None:
    """What is promoted, as the record names it. Raises `ArtifactFault`."""
    current = read_pointer(artifacts)
    return os.path.relpath(current, artifacts) if current else None


def served(entries: Sequence[Entry], current: str | None) -> list[str]:
    """What served, oldest first, up to now; what was rolled back is gone from the end.

    An entry counts only if the pointer moved, as the next entry or `current` shows.
    """
    found: list[str] = []
    then = [*(entry.previous for entry in entries[1:]), current]
    for entry, now in zip(entries, then, strict=False):
        if now != entry.artifact:
            continue
        if entry.action == ROLLED_BACK:
            del found[-1:]
        if found[-1:] != [now]:
            found.append(now)
    return found


def served_before(artifacts: Path) -> list[Path]:
    """What served before what is promoted now, newest first, each once. Empty where no record says so; a damaged
    one is no reason not to serve."""
    try:
        current = current_place(artifacts)
        places = reversed(served(read_record(artifacts), current))
    except (ArtifactFault, OSError):
        return []
    return [artifacts / place for place in dict.fromkeys(places) if place != current]
