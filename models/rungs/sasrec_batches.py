"""What SASRec learns from: windows of histories, and after each basket the one that came next."""

from dataclasses import dataclass

import numpy as np

from contracts.encoding import PADDING
from models.splits.interactions import Interactions, group_by_user

_BATCHES_SORTED_TOGETHER = 50
"""Windows are sorted by length among so many batches: little padding, and still a fresh mix."""


@dataclass(frozen=True)
class Batch:
    """history   int32 [batch, length], padded on the left
    asking    int64 [positions]: the places in the flattened history that have a next basket
    targets   int64 [pairs]: item indices
    owners    int64 [pairs]: for each target, its row of `asking`
    weights   float32 [pairs]: how much each target counts
    only_newest_asks  whether `asking` is just the newest item of every history
    """

    history: np.ndarray
    asking: np.ndarray
    targets: np.ndarray
    owners: np.ndarray
    weights: np.ndarray
    only_newest_asks: bool = False

    def share(self, number: int, count: int) -> "Batch":
        """Every so many-th history, from this one on, with its targets."""
        rows, length = self.history.shape
        of_row = np.full(rows, -1)
        mine = np.arange(number, rows, count)
        of_row[mine] = np.arange(len(mine))
        row, column = np.divmod(self.asking, length)
        asks = of_row[row] >= 0
        pairs = asks[self.owners]
        return Batch(
            self.history[mine],
            of_row[row[asks]] * length + column[asks],
            self.targets[pairs],
            (np.cumsum(asks) - 1)[self.owners[pairs]],
            self.weights[pairs],
            self.only_newest_asks,
        )


def of_similar_length(lengths: np.ndarray, size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Every row once, `size` at a time, in random order."""
    order = random.permutation(len(lengths))
    chunk = size * _BATCHES_SORTED_TOGETHER
    batches = []
    for first in range(0, len(order), chunk):
        some = order[first : first + chunk]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[i : i + size] for i in range(0, len(some), size)]
    return [batches[i] for i in random.permutation(len(batches))]


class TrainingWindows:
    """The histories of the training part in windows of at most `max_history` interactions.

    Only the newest item of a basket asks what came next, and the answer is the user's whole next basket,
    each item with its share: no item of a basket is history for another of the same basket. Each position
    asks once per epoch; a history longer than a window is cut at other places in every epoch.
    """

    def __init__(self, train: Interactions, users: int, max_history: int) -> None:
        histories = group_by_user(train, users)
        rows, baskets = histories.rows, histories.baskets
        sizes = np.bincount(baskets)
        self.max_history = max_history
        self.items = rows.items
        self.weights = rows.weights
        ends_basket = np.diff(baskets, append=-1) != 0
        asks = ends_basket & (np.diff(rows.users, append=-1) == 0)
        self.target_counts = np.zeros(len(rows), dtype=np.int64)
        self.target_counts[asks] = sizes[baskets[asks] + 1]
        self.starts = histories.offsets[:-1]
        self.lengths = np.zeros(users, dtype=np.int64)  # up to the last row that asks
        np.maximum.at(self.lengths, rows.users[asks], np.flatnonzero(asks) + 1 - self.starts[rows.users[asks]])

    def prefixes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and one past the last row of every history's beginning that asks, cut to `max_history`, and the
        first item that came next."""
        last = np.flatnonzero(self.target_counts)
        owner = np.searchsorted(self.starts, last, side="right") - 1
        starts = np.maximum(self.starts[owner], last + 1 - self.max_history)
        return starts, last + 1, self.items[last + 1]

    @property
    def count(self) -> int:
        """Windows in an epoch, give or take where long histories are cut."""
        return len(self.cut(0)[0])

    def cut(self, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """First and one past the last row of every window. Histories longer than a window get an oldest
        window of `shift` rows (0 to max_history - 1), which moves all their other cuts."""
        oldest = np.where(self.lengths > self.max_history, shift, 0)
        pieces = -(-(self.lengths - oldest) // self.max_history)
        user = np.repeat(np.arange(len(pieces)), pieces)
        nth = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = self.starts[user] + oldest[user] + nth * self.max_history
        ends = np.minimum(starts + self.max_history, self.starts[user] + self.lengths[user])
        short = np.flatnonzero(oldest)
        starts = np.concatenate([starts, self.starts[short]])
        return starts, np.concatenate([ends, self.starts[short] + shift])

    def epoch(self, size: int, random: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Every window once, `size` of similar length at a time, in random order, as `batch` takes them."""
        starts, ends = self.cut(int(random.integers(self.max_history)))
        return [(starts[rows], ends[rows]) for rows in of_similar_length(ends - starts, size, random)]

    def batch(self, starts: np.ndarray, ends: np.ndarray) -> Batch:
        """The windows from row `starts` up to before row `ends`."""
        length = int((ends - starts).max())
        rows = ends[:, None] - np.arange(length, 0, -1)
        inside = rows >= starts[:, None]
        history = np.where(inside, self.items[np.maximum(rows, 0)], PADDING).astype(np.int32)
        asking = np.flatnonzero(inside & (self.target_counts[np.maximum(rows, 0)] > 0))
        asking_rows = rows.ravel()[asking]
        counts = self.target_counts[asking_rows]
        owners = np.repeat(np.arange(len(asking)), counts)
        nth = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        targets = asking_rows[owners] + 1 + nth
        weights = (self.weights[targets] / counts[owners]).astype(np.float32)
        return Batch(history, asking, self.items[targets].astype(np.int64), owners, weights)
