"""Letting an artifact serve: the decision beside it, the record, the bundle, and the pointer last.

ARTIFACT/decision.json           the decision by which this artifact was promoted; not sealed
artifacts/decision-latest.json   the newest of all, also when nothing was good enough
artifacts/promotions.json        the history: every promotion and every rollback
"""

import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from contracts import durable
from contracts.artifact import Artifact, open_artifact
from contracts.faults import ArtifactFault, UsageFault
from contracts.pointer import move_pointer, place_under
from contracts.promotions import RECORD, ROLLED_BACK, Entry, current_place, read_record, served
from export.promotion.bundle import refresh_bundle
from export.promotion.decision import Decision

DECISION = "decision.json"
LATEST = "decision-latest.json"


def promote(artifacts: Path, bundle: Path, artifact: Artifact, decision: Decision) -> Entry:
    """Write the decision beside `artifact`, record it, refresh the bundle, then move the pointer.

    `artifact` is the winner, or what a refit made of it: the decision then tells so (`Decision.adding`).
    """
    place_under(artifacts, artifact.path)  # refused before anything is written
    with durable.lock(artifacts / ".promote.lock"):
        write_decision(artifacts, decision, artifact)
        return _move(artifacts, bundle, artifact, "forced" if decision.forced else "promoted", decision.reason)


def rollback(artifacts: Path, bundle: Path) -> Entry:
    """Return to the artifact that served before the promoted one, and record it."""
    with durable.lock(artifacts / ".promote.lock"):
        current = current_place(artifacts)
        places = served(read_record(artifacts), current)
        if len(places) < 2:
            raise UsageFault(
                f"there is nothing to roll back to: {artifacts / RECORD} names no artifact before "
                f"{current or 'the first promotion'}. Promote one by name: `flyweight promote ARTIFACT`."
            )
        artifact = open_artifact(artifacts / places[-2])
        return _move(artifacts, bundle, artifact, ROLLED_BACK, f"rolled back from {current}")


def _move(artifacts: Path, bundle: Path, artifact: Artifact, action: str, reason: str) -> Entry:
    """The pointer last: killed before it moved, all of this can be done again; killed after it, all is done.
    What is done again is recorded again."""
    place = place_under(artifacts, artifact.path)
    entry = Entry(_now(), action, place, current_place(artifacts), reason)
    _write_record(artifacts, [*read_record(artifacts), entry])
    refresh_bundle(bundle, artifact)
    move_pointer(artifacts, artifact.path)
    return entry


def _write_record(artifacts: Path, entries: list[Entry]) -> None:
    content = msgspec.json.format(msgspec.json.encode(entries), indent=2)
    durable.write_bytes(artifacts / RECORD, content)


def write_decision(artifacts: Path, decision: Decision, promoted: Artifact | None) -> None:
    """Write the decision beside the artifact that it promotes (None: it promotes nothing), and as the latest."""
    decision = replace(decision, at=_now(), promoted=promoted and promoted.version)
    content = msgspec.json.format(msgspec.json.encode(decision), indent=2) + b"\n"
    places = [promoted.path / DECISION] if promoted else []
    for place in (*places, artifacts / LATEST):
        durable.write_bytes(place, content)


def read_decision(artifact: Artifact) -> Decision | None:
    """The newest decision that promoted this artifact, or None. Raises `ArtifactFault` for a damaged file."""
    return _read_decision(artifact.path / DECISION)


def latest_decision(artifacts: Path) -> Decision | None:
    """The newest decision, also one by which nothing ships; None where none was made. Raises `ArtifactFault`."""
    return _read_decision(artifacts / LATEST)


def _read_decision(path: Path) -> Decision | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Decision)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArtifactFault(
            f"{path} is damaged: {error}. Expected a decision of `flyweight promote`; remove the file, and run it "
            "to decide again."
        ) from error


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
