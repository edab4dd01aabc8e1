"""Looks after the number of workers: BentoML replaces one that died; should it not, nobody else would notice."""

import threading
from collections.abc import Callable
from time import monotonic

_LOOK_SECONDS = 1.0


class Watch(threading.Thread):
    """Calls `give_up` once, with the number that is there, when workers are missing for `patience_seconds`.

    The first worker that is there begins it: all start together, so by then the others are due too.
    """

    def __init__(
        self,
        count: Callable[[], int],
        expected: int,
        patience_seconds: float,
        give_up: Callable[[int], None],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._count = count
        self._expected = expected
        self._patience_seconds = patience_seconds
        self._give_up = give_up
        self._look_seconds = look_seconds
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._count() and not self._ended.wait(self._look_seconds):
            pass
        whole_at = monotonic()
        while not self._ended.wait(self._look_seconds):
            found = self._count()
            if found >= self._expected:
                whole_at = monotonic()
            elif monotonic() - whole_at > self._patience_seconds:
                self._give_up(found)
                return

    def end(self) -> None:
        """The service has ended."""
        self._ended.set()
