"""Metrics as arithmetic on ranks, over the full catalog, and the intervals around their means.

A rank counts from 1; MISS means that the target was not answered. Ties count against the model: a target
takes the last position of the items that score the same.
"""

from collections.abc import Sequence

import numpy as np

from contracts.faults import RunNotValid

MISS = 0
_CHUNK_CELLS = 4_000_000


def ranks(recommended: np.ndarray, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """int64 `[n]` rank of `targets[i]` in row i of `recommended` `[n, k]`, best first, with its `scores`.

    A tie that reaches the end of the list is a MISS, because it may go on behind it; a score of -inf marks
    no answer. Ask for one item more than the metric's k, so that a tie at its edge is seen.
    """
    recommended, scores = np.asarray(recommended), np.asarray(scores)
    hit = (recommended == np.asarray(targets)[:, None]) & np.isfinite(scores)
    found = hit.any(axis=1)
    if not found.any():
        return np.full(len(recommended), MISS, dtype=np.int64)
    own = np.take_along_axis(scores, hit.argmax(axis=1)[:, None], axis=1)
    better_or_equal = (scores >= own).sum(axis=1)
    open_tie = (better_or_equal == scores.shape[1]) & ((scores == own).sum(axis=1) > 1)
    return np.where(found & ~open_tie, better_or_equal, MISS)


def ranks_of_all(
    recommended: np.ndarray, scores: np.ndarray, targets: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of every different target of every question, and the question each belongs to (both int64)."""
    different = [np.unique(items) for items in targets]
    owners = np.repeat(np.arange(len(different)), [len(items) for items in different])
    items = np.concatenate(different) if different else np.empty(0, dtype=np.int64)
    step = max(1, _CHUNK_CELLS // max(1, np.asarray(recommended).shape[1]))
    parts = [
        ranks(recommended[owners[at : at + step]], scores[owners[at : at + step]], items[at : at + step])
        for at in range(0, len(items), step)
    ]
    return (np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)), owners


def hit_rate_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """Per question 1.0 where the target is among the first k."""
    return _within(ranks, k).astype(np.float64)


def reciprocal_rank_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """Per question 1 / rank, 0 where the target is not among the first k."""
    return np.where(_within(ranks, k), 1 / np.maximum(ranks, 1), 0.0)


def ndcg_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """Per question with one target 1 / log2(rank + 1): the best possible is 1, so nothing is divided."""
    return np.where(_within(ranks, k), 1 / np.log2(np.maximum(ranks, 1) + 1), 0.0)


def ndcg_multi_at(ranks: np.ndarray, owners: np.ndarray, k: int) -> np.ndarray:
    """Per question of `ranks_of_all`: the gain of its targets over that of an answer with all in front.

    At most min(k, targets) can be in front.
    """
    wanted = np.bincount(owners)
    best = np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, k + 2))))[np.minimum(wanted, k)]
    return np.bincount(owners, weights=ndcg_at(ranks, k)) / best


def recall_at(ranks: np.ndarray, owners: np.ndarray, k: int) -> np.ndarray:
    """Per question of `ranks_of_all`: the share of its different targets among the first k."""
    return np.bincount(owners, weights=hit_rate_at(ranks, k)) / np.bincount(owners)


def coverage(recommended: np.ndarray, catalog_size: int, k: int) -> float:
    """Share of the catalog that stands among the first k of any answer; negative indices are no items."""
    answered = np.unique(np.asarray(recommended)[:, :k])
    return float((answered >= 0).sum() / catalog_size)


def interval(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> tuple[float, float, float]:
    """Mean over all questions, and the ends of its 95 % bootstrap interval (percentile method).

    Whole groups are drawn with replacement, because the questions of one user resemble each other.
    Raises `RunNotValid` when there is nothing to average.
    """
    if not len(values):
        raise RunNotValid("no question could be asked, so there is no mean. Use a log with more users.")
    _, unit = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(unit, weights=values), np.bincount(unit)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for resample in range(resamples):
        drawn = rng.integers(0, len(sums), len(sums))
        means[resample] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.mean(values)), float(low), float(high)


def paired_difference(
    a: np.ndarray, b: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> tuple[float, float, float]:
    """Mean of a - b over the same questions, and its 95 % interval; it excludes 0 when they differ."""
    return interval(np.asarray(a) - np.asarray(b), groups, resamples, seed)


def _within(ranks: np.ndarray, k: int) -> np.ndarray:
    return (ranks != MISS) & (ranks <= k)
