"""How a writing process dies: between two operations, in the middle of a file, or with the machine's power.

Runs in the forked child only. An audit hook sees every file operation of Python itself. What native code
writes (Parquet, safetensors, graphs) it does not see; there the kernel kills, at a size limit for files.
"""

import hashlib
import os
import random
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from contracts import durable

CHANGING = ("os.remove", "os.rmdir", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.utime")
_STORE = b"$3\r\nSET\r\n"


class Kill(msgspec.Struct, frozen=True):
    """When the process dies, if at all.

    before_operation  just before this operation on files, counted from 1; the end of the step counts as one
    within_message    in the middle of this message that stores something in Redis, counted from 1
    at_bytes          when a file has this size and is written further
    power_seed        the power goes at that moment: of the files that were not flushed to the disk, some lose
                      half their bytes, at least one does; which ones, this number decides
    """

    before_operation: int | None = None
    within_message: int | None = None
    at_bytes: int | None = None
    power_seed: int | None = None


class Operations:
    """Counts what this process does to files below `folder` and sends to Redis, and kills it there."""

    def __init__(self, folder: Path, kill: Kill) -> None:
        self.changes: list[bool] = []
        """Per operation, in order: whether it changes a file. Reading and `mkdir` of what is there do not."""
        self.messages = 0
        """How many messages that store something were sent to Redis."""
        self._folder, self._kill, self._looking = folder, kill, False
        self._on_disk = {_content_of(path) for path in self._files()}

    def watch(self) -> None:
        """From here on; an audit hook cannot be taken back."""
        sys.addaudithook(self._hear)
        os.fsync = self._remember_flush
        self._sendall = socket.socket.sendall
        socket.socket.sendall = lambda connection, content: self._send(connection, content)

    def _remember_flush(self, descriptor: int) -> None:
        """Instead of flushing: that takes long, and no test cuts the real power."""
        self._count(changes=True)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file():
            self._looking = True
            self._on_disk.add(_content_of(path))
            self._looking = False

    def _send(self, connection: socket.socket, content: bytes) -> None:
        stores = _STORE in content
        self.messages += stores
        if stores and self.messages == self._kill.within_message:
            self._sendall(connection, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        self._sendall(connection, content)

    def end(self) -> None:
        """The step has returned. What it does afterwards is not counted."""
        self._count(changes=False)
        self._looking = True

    def _hear(self, event: str, arguments: tuple) -> None:
        if self._looking:
            return
        if event == "ctypes.dlsym" and arguments[1] == "renameat2":
            self._count(changes=True)
        elif event == "open" and self._is_below(arguments[0]):
            writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
            is_lock = os.fsdecode(arguments[0]).endswith("lock")
            self._count(changes=writes and not is_lock)
        elif event in CHANGING and self._is_below(arguments[0], arguments[-1]):
            there = os.path.lexists(_resolve(arguments[0], arguments[-1]))
            self._count(changes=there != (event == "os.mkdir"))

    def _is_below(self, path: object, directory: int = -1) -> bool:
        named = isinstance(path, str | bytes | os.PathLike)
        return named and _resolve(path, directory).is_relative_to(self._folder)

    def note_question(self) -> None:
        """What Redis is asked is an operation too, for a step that says so."""
        self._count(changes=False)

    def _count(self, *, changes: bool) -> None:
        self.changes.append(changes)
        if len(self.changes) == self._kill.before_operation:
            if self._kill.power_seed is not None:
                self._lose_what_is_not_on_disk()
            os.kill(os.getpid(), signal.SIGKILL)

    def _lose_what_is_not_on_disk(self) -> None:
        self._looking = True  # reading is an operation too, and not one of the step
        at_risk = sorted(path for path in self._files() if _content_of(path) not in self._on_disk)
        chance = random.Random(self._kill.power_seed)
        for path in chance.sample(at_risk, chance.randint(min(1, len(at_risk)), len(at_risk))):
            os.truncate(path, path.stat().st_size // 2)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.rglob("*") if path.is_file()]


def _content_of(path: Path) -> tuple[int, bytes]:
    """One file with one content: which inode and what is in it."""
    return path.stat().st_ino, hashlib.sha256(path.read_bytes()).digest()


def _resolve(path: str | bytes | os.PathLike, directory: int) -> Path:
    """The absolute path of a name that may be relative to an open directory, as `shutil.rmtree` uses it."""
    base = Path(f"/proc/self/fd/{directory}").readlink() if directory >= 0 else Path.cwd()
    return base / os.fsdecode(os.fspath(path))


def limit_file_size(size_bytes: int) -> None:
    """Let the kernel kill this process when it writes past `size_bytes` of any file, whoever writes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


def write_in_place() -> None:
    """Switch the protection off: what `contracts.durable` writes goes straight to its place."""

    @contextmanager
    def new_file(path: Path) -> Iterator[Path]:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path

    @contextmanager
    def new_directory(path: Path) -> Iterator[Path]:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        yield path

    def publish_directory(temporary: Path, path: Path) -> None:
        with new_directory(path):
            for source in sorted(temporary.rglob("*")):
                place = path / source.relative_to(temporary)
                place.mkdir() if source.is_dir() else shutil.copyfile(source, place)

    durable.new_file, durable.new_directory = new_file, new_directory
    durable.publish_directory = publish_directory


def mark_first() -> None:
    """Switch off what protects the feature cache: its marker is written before the histories."""
    from export import materialize
    from service.feature_cache import MARKER_KEY

    write_histories = materialize.write_histories

    def write_marker_and_histories(redis, histories, **lasting):
        redis.set(MARKER_KEY, "1")
        return write_histories(redis, histories, **lasting)

    materialize.write_histories = write_marker_and_histories


def flush_nothing() -> None:
    """Switch off what protects against a power cut."""
    durable.flush = lambda path: None
