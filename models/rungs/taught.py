"""What a student learns from: histories, each with the item that came next and the teacher's best guesses."""

from collections.abc import Callable

import numpy as np

from contracts.encoding import PADDING
from contracts.progress import Progress
from contracts.rung_sections import Student
from models.rungs.sasrec_batches import Batch, TrainingWindows, of_similar_length

_AT_ONCE, _SCORES_AT_ONCE = 256, 1 << 24
_SCORES_AT_MOST, _PREFIXES_AT_LEAST = 20_000_000_000, 10_000
"""Of the teacher: 100,000 prefixes up to 200,000 items, 20,000 at a million, where they take minutes."""


class TaughtPrefixes:
    """Up to `choices.prefixes` beginnings of histories in train, drawn once, and what the teacher says of each.
    Of a large catalog fewer, for the teacher scores every item each time.

    A prefix ends where a basket ends and another follows. Its next item counts `1 - choices.taught`; the
    teacher's `choices.guesses` best items share the rest by their softmax at `choices.temperature`; all of them
    where the catalog holds no more.
    """

    def __init__(
        self,
        windows: TrainingWindows,
        items: int,
        teacher_scores: Callable[[np.ndarray], np.ndarray],
        choices: Student,
        seed: int,
        progress: Progress,
    ) -> None:
        max_history = windows.max_history
        starts, ends, targets = windows.prefixes()
        at_most = min(choices.prefixes, max(_PREFIXES_AT_LEAST, _SCORES_AT_MOST // items))
        if len(ends) > at_most:
            drawn = np.random.default_rng(seed).choice(len(ends), at_most, replace=False)
            drawn.sort()
            starts, ends, targets = starts[drawn], ends[drawn], targets[drawn]
        rows = ends[:, None] - np.arange(max_history, 0, -1)
        inside = rows >= starts[:, None]
        self.histories = np.where(inside, windows.items[np.maximum(rows, 0)], PADDING).astype(np.int32)
        self.lengths = ends - starts
        count, at_once = min(choices.guesses, items), max(1, min(_AT_ONCE, _SCORES_AT_ONCE // items))
        self.items = np.empty((len(ends), 1 + count), dtype=np.int64)
        self.weights = np.empty(self.items.shape, dtype=np.float32)
        self.items[:, 0], self.weights[:, 0] = targets, 1 - choices.taught
        for first in range(0, len(ends), at_once):
            some = slice(first, first + at_once)
            guesses, shares = _best(teacher_scores(self.histories[some]), count, choices.temperature)
            self.items[some, 1:], self.weights[some, 1:] = guesses, choices.taught * shares
            progress("student: listening to the teacher", min(first + at_once, len(ends)), len(ends))

    @property
    def count(self) -> int:
        return len(self.histories)

    def epoch(self, size: int, random: np.random.Generator) -> list[tuple[np.ndarray, int]]:
        """Every prefix once, `size` of similar length at a time, in random order, as `batch` takes them."""
        batches = of_similar_length(self.lengths, size, random)
        return [(rows, int(self.lengths[rows].max())) for rows in batches]

    def batch(self, rows: np.ndarray, length: int) -> Batch:
        owners = np.repeat(np.arange(len(rows)), self.items.shape[1])
        asking = np.arange(1, len(rows) + 1) * length - 1
        return Batch(
            self.histories[rows, -length:],
            asking,
            self.items[rows].ravel(),
            owners,
            self.weights[rows].ravel(),
            only_newest_asks=True,
        )


def _best(scores: np.ndarray, count: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's `count` best items int64 [batch, count] and their shares, which add up to 1."""
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    best = np.sort(best, axis=1)
    logits = np.take_along_axis(scores, best, axis=1) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return best, shares / shares.sum(axis=1, keepdims=True)
