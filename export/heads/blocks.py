"""Items in blocks of equal size, so that those which score alike for real users lie together.

With M the second moment of real queries, E[(q . x)^2] = x' M x: in the space of M^(1/2) x, distance is the root
mean square difference of scores. There the items are cut in two again and again (two-means, the cut moved to whole
blocks), which gives full blocks, neighbours side by side, in O(items log items). That this finds more than plain
distances would is not shown: in the later trials of docs/experiments.md those found about as much or more.
"""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

_SAMPLED, _ROUNDS, _POWER_STEPS = 1000, 4, 8
_COPIED = 1 << 14
"""So many items and fewer are cut on a copy of their rows, which a processor's cache holds. Rows all over a large
table cost a cache miss each, once in every halving."""
_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class Blocks:
    """order    int64 [items]: the items, block by block, `width` each, only the last may hold fewer
    centroids  float32 [blocks, d]: the mean of each block's rows
    spreads    float32 [blocks]: how far scores of a block's items lie apart, root mean square over real queries
    """

    order: np.ndarray
    centroids: np.ndarray
    spreads: np.ndarray
    width: int

    @property
    def count(self) -> int:
        return len(self.centroids)

    def block_of_items(self) -> np.ndarray:
        """int32 [items]: the block of each item."""
        place = np.empty(len(self.order), dtype=np.int32)
        place[self.order] = np.arange(len(self.order), dtype=np.int32) // self.width
        return place


def make_blocks(rows: np.ndarray, queries: np.ndarray, width: int, seed: int, front: np.ndarray) -> Blocks:
    """Blocks of `rows` float32 [items, d] for queries like `queries` float32 [n, d], `width` items each.

    The items in `front`, int64, a multiple of `width`, fill the first blocks. The same arguments give the same
    blocks.
    """
    behind = np.ones(len(rows), dtype=bool)
    behind[front] = False
    with threadpool_limits(1, "blas"):  # products are small here: more threads wait for one another
        root = _root_of_second_moment(queries)
        halves = _in_halves(rows, np.flatnonzero(behind), root, width, np.random.default_rng(seed))
    order = np.concatenate([front, halves])
    starts = np.arange(0, len(order), width)
    counts = np.diff(starts, append=len(order))[:, None].astype(np.float32)
    centroids = np.empty((len(starts), rows.shape[1]), dtype=np.float32)
    spreads = np.empty(len(starts), dtype=np.float32)
    for first in range(0, len(starts), _SAMPLED):
        some = slice(first, first + _SAMPLED)
        begin, end = starts[first], min(len(order), (first + _SAMPLED) * width)
        own, at = rows[order[begin:end]], starts[some] - begin
        centroids[some] = np.add.reduceat(own, at, axis=0) / counts[some]
        apart = (own - np.repeat(centroids[some], counts[some, 0].astype(int), axis=0)) @ root
        squares = np.einsum("ij,ij->i", apart, apart)
        spreads[some] = np.sqrt(np.add.reduceat(squares, at) / counts[some, 0])
    return Blocks(order, centroids, spreads, width)


def _root_of_second_moment(queries: np.ndarray) -> np.ndarray:
    """float32 [d, d], symmetric."""
    strengths, directions = np.linalg.eigh(queries.T.astype(np.float64) @ queries / len(queries))
    return ((directions * np.sqrt(strengths.clip(0))) @ directions.T).astype(np.float32)


def _in_halves(
    rows: np.ndarray, items: np.ndarray, root: np.ndarray, width: int, random: np.random.Generator
) -> np.ndarray:
    """`items`, ascending, in the order of their blocks."""
    done, waiting = [items[:0]], [items]
    while waiting:
        own = waiting.pop()
        if len(own) <= _COPIED:
            done.append(own[_in_small_halves(rows[own] @ root, width, random)])
            continue
        direction, boundary = _two_means(rows[own[random.integers(0, len(own), _SAMPLED)]] @ root, random)
        across = root @ direction
        pieces = [rows[own[first : first + _AT_ONCE]] @ across for first in range(0, len(own), _AT_ONCE)]
        order, cut = _cut(np.concatenate(pieces), boundary, width)
        is_low = np.zeros(len(own), dtype=bool)
        is_low[order[:cut]] = True
        waiting += [own[~is_low], own[is_low]]  # still ascending, so that rows are read in the order they lie in
    return np.concatenate(done)


def _in_small_halves(points: np.ndarray, width: int, random: np.random.Generator) -> np.ndarray:
    """The places of `points` float32 [n, d], plain distances between them, in the order of their blocks."""
    done, waiting = [], [(points, np.arange(len(points)))]
    while waiting:
        own, places = waiting.pop()
        if len(own) <= width:
            done.append(places)
            continue
        sample = own if len(own) <= _SAMPLED else own[random.integers(0, len(own), _SAMPLED)]
        direction, boundary = _two_means(sample, random)
        order, cut = _cut(own @ direction, boundary, width)
        waiting += [(own[some], places[some]) for some in (order[cut:], order[:cut])]
    return np.concatenate(done)


def _cut(along: np.ndarray, boundary: float, width: int) -> tuple[np.ndarray, int]:
    """An order with the lower ones first, and how many those are: whole blocks, up to about `boundary`."""
    blocks = -(-len(along) // width)
    cut = min(max(round(int((along <= boundary).sum()) / width), 1), blocks - 1) * width
    return np.argpartition(along, cut - 1), cut


def _two_means(sample: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """The direction from one mean to the other, and the place on it halfway between."""
    total, count = sample.sum(axis=0), len(sample)
    centred = sample - total / count
    direction = random.standard_normal(sample.shape[1]).astype(np.float32)
    for _ in range(_POWER_STEPS):
        direction = centred.T @ (centred @ direction)
        direction /= max(float(np.linalg.norm(direction)), 1e-30)
    along = centred @ direction
    upper = along > np.median(along)
    for _ in range(_ROUNDS):
        above = int(np.count_nonzero(upper))
        if above in (0, count):
            break
        of_upper = upper.astype(np.float32) @ sample  # a product: many times quicker than picking the rows
        low, high = (total - of_upper) / (count - above), of_upper / above
        direction, boundary = high - low, float(high @ high - low @ low) / 2
        upper = sample @ direction > boundary
    else:
        return direction, boundary
    return direction, float(np.median(sample @ direction))
