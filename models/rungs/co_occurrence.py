"""Which items are taken near each other: counted pairs, and of them each item's nearest neighbours."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy import sparse

from contracts.encoding import PADDING
from models.splits.interactions import Histories, Interactions, group_by_user

_PAIRS_AT_ONCE = 1 << 25
"""Pairs waiting to be added up: 12 bytes each, three times that while they are."""

_CELLS_AT_ONCE = 1 << 21


def count_pairs(
    interactions: Interactions, users: int, items: int, windows: Iterable[int]
) -> dict[int, sparse.csr_array]:
    """For each window a matrix [items, items]: the weight of all pairs (row's item, then column's item) in
    one user's history that are at most so many interactions apart.

    A pair weighs the product of its two interactions. Two items of one basket are a pair both ways, since
    their order means nothing. An item is no pair with itself.
    """
    histories = group_by_user(interactions, users)
    total, by_window, waiting = sparse.csr_array((items, items), dtype=np.float32), {}, []
    for distance in range(1, max(windows) + 1):
        waiting.append(_pairs_apart(histories, distance))
        if distance in windows or sum(len(weights) for _, _, weights in waiting) > _PAIRS_AT_ONCE:
            total = total + _matrix(waiting, items)
            waiting = []
        if distance in windows:
            by_window[distance] = total
    return by_window


def _pairs_apart(histories: Histories, distance: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item, item taken after it or with it, and weight of each pair so many interactions apart."""
    rows = histories.rows
    first = np.flatnonzero(rows.users[:-distance] == rows.users[distance:])
    first = first[rows.items[first] != rows.items[first + distance]]
    then = first + distance
    weights = rows.weights[first] * rows.weights[then]
    in_basket = histories.baskets[first] == histories.baskets[then]
    one = np.concatenate([rows.items[first], rows.items[then[in_basket]]])
    other = np.concatenate([rows.items[then], rows.items[first[in_basket]]])
    return one, other, np.concatenate([weights, weights[in_basket]])


def _matrix(pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]], items: int) -> sparse.csr_array:
    one, other, weights = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return sparse.coo_array((weights, (one, other)), shape=(items, items)).tocsr()


def nearest_neighbours(
    pairs: sparse.csr_array, item_weights: np.ndarray, idf: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours int32 [items, count], nearest first and PADDING where fewer, and similarities float32 alike.

    Similarity: the pairs' weight / (weight of the neighbour) ** idf, all on one scale: similarities of an
    interaction, averaged over the interactions behind `item_weights` [items], add up to 1 before the cut.
    """
    items = len(item_weights)
    damped = (np.maximum(item_weights, 1e-9) ** idf)[pairs.indices]
    np.divide(pairs.data, damped, out=damped)
    per_item = np.add.reduceat(np.append(damped, 0.0), pairs.indptr[:-1]) * (np.diff(pairs.indptr) > 0)
    scale = (per_item @ item_weights) / max(item_weights.sum(), 1e-9)
    damped /= scale or 1.0
    neighbours = np.full((items, count), PADDING, dtype=np.int32)
    similarities = np.zeros((items, count), dtype=np.float32)
    for rows, width in _rows_of_like_length(np.diff(pairs.indptr)):
        places = pairs.indptr[rows, None] + np.arange(width)
        beyond = places >= pairs.indptr[rows + 1, None]
        places[beyond] = 0
        nearness = np.where(beyond, -np.inf, damped[places])
        nearest = np.argsort(-nearness, axis=1, kind="stable")[:, :count]
        places, beyond = (np.take_along_axis(which, nearest, axis=1) for which in (places, beyond))
        cut = slice(None, nearest.shape[1])
        neighbours[rows, cut] = np.where(beyond, PADDING, pairs.indices[places])
        similarities[rows, cut] = np.where(beyond, 0, damped[places])
    return neighbours, similarities


def _rows_of_like_length(lengths: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Rows int64 that fill a width by more than half, so many at a time as a table bears; no empty ones."""
    order = np.argsort(lengths, kind="stable")
    end, width = np.searchsorted(lengths[order], 1), 1
    while end < len(order):
        begin, end = end, int(np.searchsorted(lengths[order], width, side="right"))
        step = max(1, _CELLS_AT_ONCE // width)
        for first in range(begin, end, step):
            yield order[first : min(first + step, end)], width
        width = min(2 * width, int(lengths[order[-1]]))
