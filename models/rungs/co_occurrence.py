"""Which items are taken near each other: counted pairs, and of them each item's nearest neighbours."""

from collections.abc import Iterable

import numpy as np
from scipy import sparse

from contracts.encoding import PADDING
from models.splits.interactions import Interactions, group_by_user


def count_pairs(
    interactions: Interactions, users: int, items: int, windows: Iterable[int]
) -> dict[int, sparse.csr_array]:
    """For each window a matrix [items, items]: the weight of all pairs (row's item, then column's item) in
    one user's history that are at most so many interactions apart.

    A pair weighs the product of its two interactions. Two items of one basket are a pair both ways, since
    their order means nothing. An item is no pair with itself.
    """
    histories = group_by_user(interactions, users)
    rows = histories.rows
    total = sparse.csr_array((items, items), dtype=np.float32)
    by_window = {}
    for distance in range(1, max(windows) + 1):
        first = np.flatnonzero(rows.users[:-distance] == rows.users[distance:])
        first = first[rows.items[first] != rows.items[first + distance]]
        then = first + distance
        weights = rows.weights[first] * rows.weights[then]
        in_basket = histories.baskets[first] == histories.baskets[then]
        one = np.concatenate([rows.items[first], rows.items[then[in_basket]]])
        other = np.concatenate([rows.items[then], rows.items[first[in_basket]]])
        weights = np.concatenate([weights, weights[in_basket]])
        total = total + sparse.coo_array((weights, (one, other)), shape=(items, items)).tocsr()
        if distance in windows:
            by_window[distance] = total
    return by_window


def nearest_neighbours(
    pairs: sparse.csr_array, item_weights: np.ndarray, idf: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours int32 [items, count], nearest first and PADDING where fewer, and similarities float32 alike.

    Similarity: the pairs' weight / (weight of the neighbour) ** idf, all on one scale: similarities of an
    interaction, averaged over the interactions behind `item_weights` [items], add up to 1 before the cut.
    """
    items = len(item_weights)
    damped = pairs.data / np.maximum(item_weights, 1e-9)[pairs.indices] ** idf
    per_item = np.add.reduceat(np.append(damped, 0.0), pairs.indptr[:-1]) * (np.diff(pairs.indptr) > 0)
    scale = (per_item @ item_weights) / max(item_weights.sum(), 1e-9)
    damped = damped / (scale or 1.0)
    neighbours = np.full((items, count), PADDING, dtype=np.int32)
    similarities = np.zeros((items, count), dtype=np.float32)
    for item in range(items):
        start, end = pairs.indptr[item], pairs.indptr[item + 1]
        nearest = np.argsort(-damped[start:end], kind="stable")[:count]
        neighbours[item, : len(nearest)] = pairs.indices[start:end][nearest]
        similarities[item, : len(nearest)] = damped[start:end][nearest]
    return neighbours, similarities
