"""Every request of a run as a line, for whoever must know what happened in which moment.

    # began 12345.678                         of time.monotonic, which all processes of a machine share
    DUE LATENCY_MS KNOWN STATE VERSION        seconds since then; milliseconds; 1 for a known user; which artifact

STATE is `ok`, or the reason why the answer is degraded, or `failed:` and why. What failed has `-` for latency,
user and version. Fields are parted by tabs. Written at the end, so that it costs nothing before; the first line
at once.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loadtests.answers import Answer

FAILED = "failed:"
OK = "ok"
_BEGAN = "# began "


class LoggedRequest(NamedTuple):
    """`latency` in seconds, None for what failed. `known`: answered, to a user whom the service knows."""

    due: float
    latency: float | None
    known: bool
    state: str
    version: str

    @property
    def failed(self) -> bool:
        return self.state.startswith(FAILED)

    @property
    def degraded(self) -> bool:
        return not self.failed and self.state != OK

    @property
    def answered(self) -> float | None:
        """When, in seconds since the start."""
        return None if self.latency is None else self.due + self.latency

    @property
    def wait(self) -> float:
        """In seconds. Who gets no answer waits for ever."""
        return math.inf if self.latency is None else self.latency


def percentile_ms(requests: Sequence[LoggedRequest], share: float) -> float | None:
    """Nearest rank of the waits; None beyond any bound, and of nobody."""
    waits = sorted(one.wait for one in requests)
    found = waits[math.ceil(share * len(waits)) - 1] if waits else math.inf
    return None if found == math.inf else 1000 * found


class NoLog:
    """Where nobody asked for one."""

    def begin(self, started: float) -> None: ...

    def note(self, answer: Answer, due: float, latency: float, *, known: bool) -> None: ...

    def note_failure(self, why: str, due: float) -> None: ...

    def write(self) -> None: ...


class AnswerLog(NoLog):
    """Several processes may write into the same file, each its own lines."""

    def __init__(self, path: Path) -> None:
        self._path, self._lines = path, []

    def begin(self, started: float) -> None:
        self._append(f"{_BEGAN}{started:.6f}\n")

    def note(self, answer: Answer, due: float, latency: float, *, known: bool) -> None:
        state = answer.reason if answer.degraded else OK
        version = answer.model.version
        self._lines.append(f"{due:.4f}\t{latency * 1000:.3f}\t{known:d}\t{state}\t{version}\n")

    def note_failure(self, why: str, due: float) -> None:
        words = " ".join(why.split())
        self._lines.append(f"{due:.4f}\t-\t-\t{FAILED}{words}\t-\n")

    def write(self) -> None:
        self._append("".join(self._lines))
        self._lines.clear()

    def _append(self, text: str) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def read_began(path: Path) -> float | None:
    """When the run began, by `time.monotonic`; None while it has not."""
    try:
        first = path.read_text().partition("\n")[0]
    except FileNotFoundError:
        return None
    return float(first.removeprefix(_BEGAN)) if first.startswith(_BEGAN) else None


def read_requests(path: Path) -> list[LoggedRequest]:
    """In the order in which they were due."""
    rows = (line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#"))
    found = [
        LoggedRequest(float(due), None if ms == "-" else float(ms) / 1000, known == "1", state, version)
        for due, ms, known, state, version in rows
    ]
    return sorted(found, key=lambda one: one.due)
