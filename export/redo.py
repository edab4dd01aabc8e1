"""Several files of a folder that appear, change and go in one step, wherever the writer is killed.

Drafts are written under temporary names beside their places and flushed to the disk. Then a record that names them
is replaced in one step (`contracts.durable`): from that moment on the change has happened, and `finish` does
what is left of it, after a crash once more. Doing it twice changes nothing. A draft that no record names never
happened. A reader of `*.parquet` sees no draft.
"""

from pathlib import Path

import msgspec

from contracts import durable


class Change(msgspec.Struct):
    """Paths relative to the folder. `drafts`: temporary name -> its place, where the file's older form may lie."""

    drafts: dict[str, str] = {}
    removals: list[str] = []


def finish(folder: Path, change: Change) -> bool:
    """Put every draft in its place and remove what is to go; say whether there was anything left to do."""
    left = [draft for draft in change.drafts if (folder / draft).exists()]
    for draft in left:
        (folder / draft).replace(folder / change.drafts[draft])
    going = [place for place in change.removals if (folder / place).exists()]
    for place in going:
        (folder / place).unlink()
    for place in {(folder / place).parent for place in (*change.drafts.values(), *change.removals)}:
        if place.is_dir():  # old days may have been removed by hand since
            durable.flush(place)
    return bool(left or going)


def remove_drafts(folder: Path) -> None:
    """Remove what killed writers drafted and did not record. Nobody else may be writing."""
    for draft in folder.glob(f"*/{durable.TEMPORARY}*"):
        draft.unlink()
