"""Which artifact is promoted, and the last sound one of those that were."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from contracts.faults import ArtifactFault
from contracts.pointer import POINTER, read_pointer
from contracts.promotions import served_before
from contracts.sections import Paths

Opened = TypeVar("Opened")


class NothingPromoted(ArtifactFault):
    """There is no pointer, neither under `artifacts/` nor under `bundle/`."""


class Promotion(NamedTuple):
    """What a pointer says, and which writing of it says so: promoting the same path again differs."""

    path: Path
    folder: Path
    written_ns: int
    inode: int


def open_promoted(paths: Paths, opening: Callable[[Path], Opened]) -> Opened:
    """What `opening` makes of the promoted artifact, or of the last one before it that it does not refuse.

    Raises what `opening` raises for the promoted one when it refuses all; `ArtifactFault` when there is none.
    """
    return open_soundest(read_promotion(paths), opening)[0]


def open_soundest(promotion: Promotion, opening: Callable[[Path], Opened]) -> tuple[Opened, list[Exception]]:
    """What could be opened, and what was said of those that were promoted after it."""
    refusals: list[Exception] = []
    for path in (promotion.path, *served_before(promotion.folder)):
        try:
            return opening(path), refusals
        except Exception as error:  # whatever it is: as in `Rollout.check`
            refusals.append(error)
    raise refusals[0]


def read_promotion(paths: Paths) -> Promotion:
    """The promoted artifact under `artifacts/`, or under `bundle/` where nothing was ever promoted here.

    A bento holds no `artifacts/`: it carries what `promote` put into the bundle. Raises `ArtifactFault`.
    """
    for folder in (paths.artifacts, paths.bundle):
        if promotion := _read_pointer(folder):
            return promotion
    raise NothingPromoted(
        f"nothing is promoted: neither {paths.artifacts / POINTER} nor {paths.bundle / POINTER} exists. "
        "Run `flyweight train --all`, `export --all`, `measure` and `promote` first, or `make demo`."
    )


def _read_pointer(folder: Path) -> Promotion | None:
    pointer = folder / POINTER
    try:
        stat = pointer.stat()  # before it is read: what is written in between is then looked at again
        path = read_pointer(folder)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ArtifactFault(
            f"{pointer} may not be read by user {os.geteuid()}, as which this runs. "
            f"Let it: `chmod -R a+rX {folder}`."
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactFault(
            f"{pointer} cannot be read ({error}); expected a text file of one line. Run `flyweight promote` again."
        ) from error
    return Promotion(path, folder, stat.st_mtime_ns, stat.st_ino) if path else None
