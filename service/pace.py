"""How fast a worker answers, by what its last batches took, and what follows from the deadline: how large a batch
may be, how many may be asked at once before one more would be late, and who cannot wait for the model.

The model runs in the event loop: while it does, arrivals wait unseen in the kernel, for up to a batch. So a batch
may take a quarter of the deadline, and what is in the worker half of it; the rest is for what nobody foresees.
"""

import math
import sys
from collections import deque
from time import perf_counter

LATELY_SECONDS = 1.0
"""For how long the last batch says how fast the model is: else a slow one, asked no more, would stay slow."""

_BATCHES = 32
_BATCH_SHARE, _ASKED_SHARE = 0.25, 0.5
_ODD = 8.0
"""A batch so many times slower or faster than usual is a hiccup; two in a row are the new pace."""
_ENOUGH = 4
"""Batches, until they say something: the first of a service are slow."""
_LEAST_ASKED = 2
"""One at the model and one that waits: fewer would leave the worker idle."""


class Pace:
    """Measured over the last batches: seconds of work per request, and of reading features per batch.

    Reading is waiting, which a batch does once however large it is, so it is kept apart. `max_batch`, `max_asked`:
    how many requests a batch may have, and the batch under way and those behind it together.
    """

    def __init__(self, deadline_seconds: float = math.inf, *, largest_batch: int = sys.maxsize) -> None:
        self._deadline_seconds = deadline_seconds
        self._largest_batch = largest_batch
        self._batches: deque[tuple[int, float, float]] = deque()  # requests, work, reading
        self._sums = (0, 0.0, 0.0)  # of those
        self._noted = 0
        self._last_odd = 0
        self._measured = -math.inf
        self._reading = 0.0
        self._late = 0
        self.seconds_per_request = 0.0
        self.reading_seconds = 0.0
        self.max_batch = largest_batch
        self.max_asked: float = largest_batch * _ENOUGH  # until something is known

    def note_reading(self, seconds: float) -> None:
        """So much of the batch under way was waiting for features."""
        self._reading = seconds

    def note_late(self, requests: int) -> None:
        """So many of the batch under way were not asked of the model: they say nothing of its speed."""
        self._late += requests

    def note_batch(self, requests: int, seconds: float) -> None:
        """A batch is over, replies sent, which took so long altogether."""
        reading, late = self._reading, self._late
        self._reading, self._late = 0.0, 0
        if requests <= late:
            return
        self._take(requests - late, max(seconds - reading, 1e-6), reading)

    def _take(self, requests: int, work: float, reading: float) -> None:
        usual = self.seconds_per_request * requests
        odd = 0 if not self._batches else (work > usual * _ODD) - (work < usual / _ODD)
        before, self._last_odd = self._last_odd, odd
        if odd and odd != before:
            return
        if odd:
            self._batches.clear()
            self._sums = (0, 0.0, 0.0)
        self._noted += 1
        self._measured = perf_counter()
        self._settle(requests, work, reading)

    def _settle(self, requests: int, work: float, reading: float) -> None:
        self._batches.append((requests, work, reading))
        first = self._batches.popleft() if len(self._batches) > _BATCHES else (0, 0.0, 0.0)
        sums = self._sums
        self._sums = requests, work, reading = (
            sums[0] + requests - first[0], sums[1] + work - first[1], sums[2] + reading - first[2]
        )  # fmt: skip
        self.seconds_per_request = work / requests
        self.reading_seconds = reading / len(self._batches)
        if self._noted < _ENOUGH:
            return
        longest = self._deadline_seconds * _BATCH_SHARE
        self.max_batch = math.ceil(min(self._largest_batch, longest / self.seconds_per_request))
        each = self.seconds_per_request + self.reading_seconds / self.max_batch
        self.max_asked = max(_LEAST_ASKED, self._deadline_seconds * _ASKED_SHARE / each)

    def work_seconds(self, requests: int) -> float:
        """How long so many take once their features are read; 0 where nobody measured lately."""
        if perf_counter() - self._measured > LATELY_SECONDS:
            return 0.0
        return self.seconds_per_request * requests
