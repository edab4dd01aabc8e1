"""What the crash tests must know of a step that writes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

View = dict[str, object]
"""What a reader finds, part by part. Each part is written in one step: it is the old one or the new one."""


@dataclass(frozen=True)
class Step:
    """One step that writes below a folder.

    build  fill the folder with what is there before
    act    the step
    view   read all that the step writes as its readers do, verified; an error means half-written
    kills  at how many points of the step it is killed, if it has that many
    slow   modules that take long to import
    """

    build: Callable[[Path], object]
    act: Callable[[Path], object]
    view: Callable[[Path], View]
    kills: int = 40
    slow: tuple[str, ...] = ()


def digest(*parts: object) -> str:
    """A short name for arrays and for whatever JSON can hold: equal contents, equal names."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.tobytes() if isinstance(part, np.ndarray) else msgspec.json.encode(part))
    return found.hexdigest()[:12]
