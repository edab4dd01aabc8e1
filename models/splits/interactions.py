"""Interactions as arrays, and each user's history cut out of them."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Interactions:
    """Interactions sorted by time; ties keep the order of the file. All arrays have the same length.

    users     int32   user codes, rows of the split's `user_ids`
    items     int32   item codes: below the catalog's size an item index, from there on an item that the
                      training part never saw (row of `item_ids`)
    times     int64   epoch milliseconds, or the order itself when the log has no clock
    sessions  int32   session codes; the user code where the log has no sessions
    weights   float32 how much each interaction counts
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    sessions: np.ndarray
    weights: np.ndarray
    has_sessions: bool

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: np.ndarray) -> "Interactions":
        """The rows of an index or a mask, in that order."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "has_sessions"}
        return Interactions(**arrays, has_sessions=self.has_sessions)


def concatenate(first: Interactions, second: Interactions) -> Interactions:
    """Two parts of a log, the earlier one first."""
    pairs = {f.name: (getattr(first, f.name), getattr(second, f.name)) for f in fields(first)}
    has_sessions = pairs.pop("has_sessions")[0]
    return Interactions(**{k: np.concatenate(v) for k, v in pairs.items()}, has_sessions=has_sessions)


@dataclass(frozen=True)
class Histories:
    """Interactions grouped by user, each group in time order: user u owns rows offsets[u]:offsets[u + 1].

    `baskets` int64 numbers the baskets from 0 up: rows of a user that share session AND timestamp are one
    basket where the log has sessions; elsewhere each row is its own.
    """

    rows: Interactions
    offsets: np.ndarray
    baskets: np.ndarray

    def of(self, user: int) -> np.ndarray:
        """int32 item codes of a user, newest last; empty for a user without interactions."""
        return self.rows.items[self.offsets[user] : self.offsets[user + 1]]


def group_by_user(interactions: Interactions, users: int) -> Histories:
    """Histories of the user codes 0 .. users - 1."""
    rows = interactions.take(np.argsort(interactions.users, kind="stable"))
    offsets = np.searchsorted(rows.users, np.arange(users + 1)).astype(np.int64)
    starts = np.ones(len(rows), dtype=bool)
    if rows.has_sessions and len(rows):
        same = (np.diff(rows.users) == 0) & (np.diff(rows.sessions) == 0) & (np.diff(rows.times) == 0)
        starts[1:] = ~same
    return Histories(rows, offsets, np.cumsum(starts) - 1)
