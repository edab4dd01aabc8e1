"""Promotions on record, as `flyweight promote` leaves them, without the bridge that judges."""

from pathlib import Path

import msgspec

from contracts.artifact import Artifact
from contracts.pointer import move_pointer, place_under
from contracts.promotions import RECORD, Entry


def record_promotions(artifacts: Path, *promoted: Artifact) -> None:
    """One after the other; the last one is what is promoted now."""
    places = [place_under(artifacts, artifact.path) for artifact in promoted]
    entries = [Entry("now", "promoted", *each, "") for each in zip(places, [None, *places], strict=False)]
    (artifacts / RECORD).write_bytes(msgspec.json.encode(entries))
    move_pointer(artifacts, promoted[-1].path)
