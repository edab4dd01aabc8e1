"""Equal lines are written once in ten seconds, with the number of those left out: a storm of errors fills no disk.

Equal are lines of one cause: the same exception raised at the same place; without one, the same words of the same
logger before anything was put into them; or what the caller names as `extra={"cause": ...}`. The first is written
at once. What was left out is said when the ten seconds are over, with the newest of them, or when the process
ends. So the lines of a cause and their `repeated` together are as many as there were.
"""

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import TextIO

WINDOW_SECONDS = 10.0

_MOST_CAUSES = 500
"""That are told apart. Causes are places in code, so there are fewer; if not, the rest of a logger is one."""


@dataclass(slots=True)
class _Held:
    """What was left out of one cause since `since`."""

    since: float
    count: int = 0
    newest: logging.LogRecord | None = None
    timer: threading.Timer | None = None


class SparingHandler(logging.StreamHandler):
    """Writes to `stream`, of each cause one record in `window_seconds`; its `repeated` says how many more."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        window_seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(stream)
        self._window_seconds = window_seconds
        self._clock = clock
        self._held: dict[Hashable, _Held] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock. Never raises, as no handler may."""
        try:
            self._write_or_hold(record)
        except Exception:  # whoever logged has an odd message or cause; he is not to fail by it
            self.handleError(record)

    def _write_or_hold(self, record: logging.LogRecord) -> None:
        now = self._clock()
        cause = self._known(cause_of(record), record, now)
        held = self._held.get(cause)
        if held is None or (not held.count and now - held.since >= self._window_seconds):
            self._held[cause] = _Held(now)
            super().emit(record)
            return
        held.count += 1
        held.newest = record
        if held.timer is None:  # a thread only where something repeats itself
            wait = max(0.0, held.since + self._window_seconds - now)
            held.timer = threading.Timer(wait, self._release, (cause,))
            held.timer.daemon = True
            held.timer.start()

    def catch_up(self) -> None:
        """Say now what was left out."""
        with self.lock:
            causes = list(self._held)
        for cause in causes:
            self._release(cause)

    def close(self) -> None:
        """`logging` calls this at the end of a process."""
        self.catch_up()
        super().close()

    def _release(self, cause: Hashable) -> None:
        with self.lock:
            held = self._held.pop(cause, None)
            if held is None or held.newest is None:
                return
            held.timer.cancel()
            self._held[cause] = _Held(self._clock())
            held.newest.repeated = held.count - 1
            super().emit(held.newest)

    def _known(self, cause: Hashable, record: logging.LogRecord, now: float) -> Hashable:
        if cause in self._held or len(self._held) < _MOST_CAUSES:
            return cause
        for old, held in list(self._held.items()):
            if not held.count and now - held.since >= self._window_seconds:
                del self._held[old]
        return cause if len(self._held) < _MOST_CAUSES else record.name


def cause_of(record: logging.LogRecord) -> Hashable:
    """What makes two records equal."""
    if (named := getattr(record, "cause", None)) is not None:
        return record.name, named
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        words = record.getMessage() if record.name == "py.warnings" else str(record.msg)
        return record.name, record.levelno, words
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else None
    return type(error), place
