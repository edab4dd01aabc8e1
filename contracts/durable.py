"""Writing so that a reader sees the old state or the new one, never a half, whenever the power goes.

Everything that another process may read is written beside its place under a temporary name, flushed
to the disk, and renamed. What a killed writer leaves behind carries `TEMPORARY` in its name; the next
writer of the same place removes it.
"""

import ctypes
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".partial-"


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; it becomes `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file `path` by `content` in one step."""
    with new_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory to fill; it becomes `path` when the block ends without an error."""
    with draft_directory(path) as temporary:
        yield temporary
        publish_directory(temporary, path)


@contextmanager
def draft_directory(beside: Path) -> Iterator[Path]:
    """Yield a temporary directory next to `beside`; unless it is published, it is removed at the end."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(beside)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_directory(temporary: Path, path: Path) -> None:
    """Flush `temporary` and make it `path`. A directory that stands there changes places with it."""
    for folder, _, files in os.walk(temporary):
        for name in files:
            flush(Path(folder, name))
        flush(Path(folder))
    if path.exists():
        _exchange(temporary, path)  # the old one is now `temporary`, and removed by who drafted it
    else:
        temporary.rename(path)
    flush(path.parent)


def draft_file(place: Path) -> Path:
    """A temporary name beside `place`, for who makes several files appear together: see `export/redo.py`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return _temporary_beside(place)


def flush(path: Path) -> None:
    """Return once the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; the system releases it when the process dies.

    Raises `BlockingIOError` at once when `wait` is false and another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def make_newest(path: Path, among: Iterable[Path]) -> None:
    """Give the file `path` a later time of change than every file of `among` has.

    The clock of a file system stands still for milliseconds: files written one after the other may tie.
    """
    times = [time.time_ns()]
    for other in among:
        with suppress(FileNotFoundError):  # removed meanwhile
            times.append(other.stat().st_mtime_ns + 1)
    os.utime(path, ns=(max(times), max(times)))


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of `path` left beside it. Every writer does; so should a step that finds its
    work done, for the kill may have come between publishing and tidying up.

    A temporary name carries its writer's process id, so that a writer at work is left alone.
    """
    of_this_place = re.compile(re.escape(_mark_of(path)) + r"(?P<pid>\d+)\.[0-9a-f]{8}")
    for entry in list(path.parent.glob(f"{TEMPORARY}*")):
        leftover = of_this_place.fullmatch(entry.name)
        if leftover and not _is_running(int(leftover["pid"])):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def _temporary_beside(path: Path) -> Path:
    """A fresh temporary name in the same directory, which must exist."""
    remove_leftovers(path)
    return path.parent / f"{_mark_of(path)}{os.getpid()}.{uuid.uuid4().hex[:8]}"


def _mark_of(path: Path) -> str:
    return f"{TEMPORARY}{path.name}."


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _exchange(one: Path, other: Path) -> None:
    """Swap two names in one step (Linux renameat2), for which Python has no call."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE in <fcntl.h> and <linux/fs.h>
    if libc.renameat2(here, bytes(one), here, bytes(other), exchange):
        raise OSError(ctypes.get_errno(), f"cannot swap {one} and {other} in one step on this file system")
