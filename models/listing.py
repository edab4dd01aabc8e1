"""Scores of a large catalog without a row as long as it: most items score what they score for everybody."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

LARGE = 20_000
"""Items from which on a list is cheaper than a row with a place for each item."""


class Listed(NamedTuple):
    """rows int64 and items int64, sorted by row, then item, each pair once; scores float32 of these pairs. What is
    not here has the score of `base`."""

    rows: np.ndarray
    items: np.ndarray
    scores: np.ndarray


@runtime_checkable
class Listing(Protocol):
    """A model that says of few items only what they score for a history; `base` float32 [items] is what the others
    score. All numbers are those that its `scores` gives."""

    base: np.ndarray

    def scores(self, history: np.ndarray) -> np.ndarray: ...

    def listed(self, history: np.ndarray) -> Listed: ...


def asked(model: Any) -> Any:
    """What a `Validation` is given to ask a model: the model that can list, of any other its `scores`."""
    return model if isinstance(model, Listing) else model.scores


class ListedScores:
    """One model's scores for a batch of histories, to be looked up and counted. `in_order`: `base`, sorted."""

    def __init__(self, base: np.ndarray, in_order: np.ndarray, listed: Listed) -> None:
        self._base, self._in_order, self._listed = base, in_order, listed
        self._places = listed.rows * len(base) + listed.items

    def at(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float32: the score of each of `items` for the history in the same place of `rows`."""
        scores = self._base[items]
        if len(self._places):
            wanted = rows * len(self._base) + items
            place = np.minimum(np.searchsorted(self._places, wanted), len(self._places) - 1)
            found = self._places[place] == wanted
            scores[found] = self._listed.scores[place[found]]
        return scores

    def count_as_good(self, scores: np.ndarray) -> np.ndarray:
        """int64 [batch]: how many items of the catalog score what `scores` [batch] says, or more."""
        rows, items, own = self._listed
        by_base = len(self._base) - np.searchsorted(self._in_order, scores)
        change = (own >= scores[rows]).astype(np.int64) - (self._base[items] >= scores[rows])
        return by_base + np.bincount(rows, change, minlength=len(scores)).astype(np.int64)


class DenseScores:
    """The same of scores float32 [batch, items]."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def at(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return self._scores[rows, items]

    def count_as_good(self, scores: np.ndarray) -> np.ndarray:
        if self._scores.shape[1] < LARGE:
            return (self._scores >= scores[:, None]).sum(axis=1)
        pairs = zip(self._scores, scores, strict=True)  # no second array of that size
        return np.array([np.count_nonzero(row >= least) for row, least in pairs], dtype=np.int64)


def add_up(places: np.ndarray, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different places, sorted, and the sum of the votes for each, added in the order given (float64)."""
    order = np.argsort(places, kind="stable")
    places = places[order]
    firsts = np.flatnonzero(np.diff(places, prepend=-1))
    owner = np.cumsum(np.diff(places, prepend=-1) != 0) - 1
    return places[firsts], np.bincount(owner, votes[order], minlength=len(firsts))
