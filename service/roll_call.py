"""Which workers are there: each holds a lock for life, which the system lets go of however that life ended.

Who asks needs neither process ids nor /proc, which a container may hide, and disturbs nobody: it does not try the
locks, it asks about them.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_FILE = "workers.lock"
_LOCK = struct.Struct("hhqqi4x")  # struct flock in <bits/fcntl.h> on 64 bits: kind, whence, start, length, pid


@contextlib.contextmanager
def present(state: Path, workers: int) -> Iterator[None]:
    """Be one of the workers that are there, until the block or the process ends."""
    with (state / _FILE).open("a+b") as places:
        for place in range(workers):
            try:
                fcntl.lockf(places, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                break
            except OSError:  # another worker's
                continue
        yield


def count_present(state: Path, workers: int) -> int:
    """How many of the workers are there. Never called by a worker: closing the file would end its own presence."""
    try:
        descriptor = os.open(state / _FILE, os.O_RDWR)
    except FileNotFoundError:
        return 0
    try:
        return sum(_is_taken(descriptor, place) for place in range(workers))
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int, place: int) -> bool:
    asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
    return _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
