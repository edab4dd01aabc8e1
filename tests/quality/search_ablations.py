"""What each choice in our block search is worth, in recall of the exact ten best, by arithmetic alone."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
from search_methods import TOP, World

from export.heads.blocks import Blocks, make_blocks
from export.heads.probing import width_for

_ITEMS = (2048, 8192, 32768)
_WIDTHS = (64, 128, 256)
_SOME = 50
_AT_ONCE = 1 << 15
_DIGIT, _HIGHEST, _SECOND = 63, 127, 126


class Ablation(msgspec.Struct, frozen=True):
    what: str
    recall: float


def ablations(world: World, queries: np.ndarray, best: np.ndarray, tell: Callable[[str], None]) -> list[Ablation]:
    found = []
    usual, dimension = width_for(len(world.vectors)), world.vectors.shape[1]
    for width in _WIDTHS:
        blocks = _blocks(world, world.shaping, width)
        for spread in (0.0, 1.0) if width == usual else (1.0,):
            found += _searched(
                f"shaped by queries, width {width}, spread {spread:.0f}", blocks, queries, best, spread
            )
        if width == usual:
            plain = _blocks(world, np.eye(dimension, dtype=np.float32) * np.sqrt(dimension), width)
            found += _searched(f"plain two-means, width {width}, spread 0", plain, queries, best, 0.0)
            spreads = _spreads_for(plain, world)
            found += _searched(
                f"plain two-means, width {width}, spread 1", replace(plain, spreads=spreads), queries, best, 1.0
            )
        tell(f"ablations: width {width}")
    return found + _rounded(world, queries, best)


def _blocks(world: World, shaping: np.ndarray, width: int) -> Blocks:
    return make_blocks(world.vectors, shaping, width, 1, np.empty(0, dtype=np.int64))


def _spreads_for(blocks: Blocks, world: World) -> np.ndarray:
    """How far scores lie apart in blocks that were not shaped by them: over some real queries."""
    squares = np.zeros(blocks.count)
    of_item = blocks.block_of_items()
    sizes = np.bincount(of_item)
    for query in world.shaping[:_SOME]:
        apart = world.vectors @ query - (blocks.centroids @ query)[of_item]
        squares += np.bincount(of_item, apart * apart) / sizes
    return np.sqrt(squares / len(world.shaping[:_SOME])).astype(np.float32)


def _searched(what: str, blocks: Blocks, queries: np.ndarray, best: np.ndarray, spread: float) -> list[Ablation]:
    """Recall where so many items are looked at."""
    own, hits = blocks.block_of_items()[best], {items: 0 for items in _ITEMS if items < len(blocks.order)}
    for query, blocks_of_best in zip(queries, own, strict=True):
        scores = blocks.centroids @ query + spread * blocks.spreads
        ranks = len(scores) - np.searchsorted(np.sort(scores), scores[blocks_of_best], side="right")
        for items in hits:
            hits[items] += int((ranks < items // blocks.width).sum())
    return [Ablation(f"{what}, {items:,} items looked at", count / best.size) for items, count in hits.items()]


def _rounded(world: World, queries: np.ndarray, best: np.ndarray) -> list[Ablation]:
    """Every item looked at, numbers rounded as in the graph."""
    own = queries[:, :-1]
    steps = np.abs(own).max(axis=1, keepdims=True) / np.float32(_DIGIT)
    one = np.rint(own / steps)
    two = one + np.rint((own / steps - one) * _SECOND) / _SECOND
    ways = {
        "rows of bytes, query fp32": own,
        "rows of bytes, query of two digits": two * steps,
        "rows of bytes, query of one digit": one * steps,
    }
    kept = {what: (np.full(best.shape, -np.inf, np.float32), np.zeros(best.shape, np.int64)) for what in ways}
    for first in range(0, len(world.vectors), _AT_ONCE):
        vectors = world.vectors[first : first + _AT_ONCE]
        scales = np.maximum(np.abs(vectors[:, :-1]).max(axis=1, keepdims=True), 1e-30) / np.float32(_HIGHEST)
        rows = np.rint(vectors[:, :-1] / scales) * scales
        for what, asked in ways.items():
            scores = (asked @ rows.T + vectors[:, -1]).astype(np.float32)
            kept[what] = _merged(*kept[what], scores, first)
    return [
        Ablation(f"{what}, all looked at", float((items[:, :, None] == best[:, None, :]).sum() / best.size))
        for what, (_, items) in kept.items()
    ]


def _merged(best: np.ndarray, items: np.ndarray, scores: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    places = np.argpartition(scores, -TOP, axis=1)[:, -TOP:]
    all_scores = np.concatenate([best, np.take_along_axis(scores, places, axis=1)], axis=1)
    order = np.argpartition(all_scores, -TOP, axis=1)[:, -TOP:]
    all_items = np.concatenate([items, places + first], axis=1)
    return np.take_along_axis(all_scores, order, axis=1), np.take_along_axis(all_items, order, axis=1)
