"""How many blocks a question has to look at, found on real histories against the exact head of the same run."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import onnxruntime as ort

from contracts.encoding import encode_histories
from export.graphs.scoring import Scoring
from export.graphs.sessions import open_session
from export.heads.blocks import Blocks, make_blocks
from export.heads.ivf import blocks_for
from export.heads.ivf_tables import Probing

_BATCH = 64
_SPREADS = (0.0, 1.0)
"""How much a block's score rises with its spread: what suits a catalog depends on how far it is searched."""

_FRONT_ITEMS = 1024
"""Where popularity is mixed in, so many of the most popular items are always looked at."""

_SPARE = 2
"""Standard errors between what was found and what is asked for."""

_LEAST_ROOM = 1024
"""Answers and exclusions together that the usual blocks hold at least, however few would find enough: who asks for
more is asked alone, and with a few blocks of 64 items nearly everybody would be."""

_PLACES_AT_ONCE = 1 << 24


class Probed(msgspec.Struct, frozen=True):
    """Recall of the exact head's ten best when so many blocks (leaves, of an index) are looked at."""

    blocks: int
    recall: float


@dataclass(frozen=True)
class Search:
    """The blocks, how they are probed, and what other numbers of blocks would have found."""

    blocks: Blocks
    probing: Probing
    curve: list[Probed]


def width_for(items: int) -> int:
    """Items in a block: more where there are many, so that holding the query against every block stays cheap."""
    return 64 if items < 300_000 else 128 if items < 3_000_000 else 256


def plan_search(
    scoring: Scoring,
    best_of: Callable[[np.ndarray], np.ndarray],
    shaping: list[list[int]],
    choosing: list[list[int]],
    recall: float,
    seed: int,
) -> Search:
    """Blocks shaped by the queries of the histories `shaping`, and as few of them as find `recall` of the exact
    ten best for `choosing`, but enough for `_LEAST_ROOM`: a number that a small catalog does not have stands for
    all of them. `best_of` gives the exact ones: encoded histories -> item indices [batch, 10]."""
    rows = rows_with_bias(scoring)
    front = front_of(scoring, width_for(scoring.items))
    blocks = make_blocks(rows, queries_of(scoring, shaping), width_for(scoring.items), seed, front)
    best = best_in_batches(scoring, best_of, choosing)
    queries, front_blocks = queries_of(scoring, choosing), len(front) // blocks.width
    found = {spread: _ranks(blocks, queries, best, spread, front_blocks) for spread in _SPREADS}
    needed = {spread: _least_probed(ranks, recall) for spread, ranks in found.items()}
    spread = min(_SPREADS, key=lambda one: needed[one])
    steps = [1 << power for power in range((blocks.count - front_blocks).bit_length())]
    curve = [Probed(front_blocks + step, float((found[spread] < step).mean())) for step in steps]
    probed = max(needed[spread], blocks_for(_LEAST_ROOM, blocks.width))
    return Search(blocks, Probing(probed, spread, front_blocks), curve)


def best_in_batches(
    scoring: Scoring, best_of: Callable[[np.ndarray], np.ndarray], histories: list[list[int]]
) -> np.ndarray:
    """int64 [histories, 10]"""
    encoded, batch = encode_histories(histories, scoring.max_history), batch_for(scoring.items)
    return np.concatenate([best_of(encoded[i : i + batch]) for i in range(0, len(encoded), batch)])


def batch_for(items: int) -> int:
    """Questions that an exact graph is asked at once: what it takes for their scores it keeps."""
    return max(1, min(_BATCH, _PLACES_AT_ONCE * 8 // items))


def rows_with_bias(scoring: Scoring) -> np.ndarray:
    """float32 [items, d + 1]: held against a query with a 1 behind it, they give the score."""
    bias = np.zeros(scoring.items, dtype=np.float32) if scoring.bias is None else scoring.bias[:-1]
    return np.column_stack([scoring.rows[:-1], bias])


def queries_of(scoring: Scoring, histories: list[list[int]]) -> np.ndarray:
    """float32 [histories, d + 1]: what the encoder makes of each, and a 1."""
    session = open_session(scoring.encoder)
    encoded = encode_histories(histories, scoring.max_history)
    pieces = [_ask(session, scoring, encoded[i : i + _BATCH]) for i in range(0, len(encoded), _BATCH)]
    queries = np.concatenate(pieces)
    return np.column_stack([queries, np.ones(len(queries), dtype=np.float32)])


def _ask(session: ort.InferenceSession, scoring: Scoring, encoded: np.ndarray) -> np.ndarray:
    given = {"rows": scoring.rows[encoded], "history": encoded}
    inputs = {value.name for value in session.get_inputs()}
    (queries,) = session.run(["query"], {name: array for name, array in given.items() if name in inputs})
    return queries


def front_of(scoring: Scoring, width: int = 1) -> np.ndarray:
    """int64: the items that every question looks at, the most popular where popularity is mixed in; whole blocks
    of `width`."""
    if scoring.popular is None:
        return np.empty(0, dtype=np.int64)
    count = min(_FRONT_ITEMS, scoring.items // 2) // width * width
    return np.sort(np.argpartition(-scoring.popular[:-1], count)[:count]) if count else np.empty(0, dtype=np.int64)


def _ranks(blocks: Blocks, queries: np.ndarray, best: np.ndarray, spread: float, front: int) -> np.ndarray:
    """int64 [histories, 10]: how many blocks behind the front ones come before that of each of the best items;
    -1 for an item in front."""
    own = blocks.block_of_items()[best] - front
    centroids, rise = blocks.centroids[front:], spread * blocks.spreads[front:]
    ranks = np.empty(own.shape, dtype=np.int64)
    step = max(1, _PLACES_AT_ONCE // len(centroids))
    for first in range(0, len(queries), step):
        some = slice(first, first + step)
        scores = queries[some] @ centroids.T + rise
        of_own = np.take_along_axis(scores, np.maximum(own[some], 0), axis=1)
        ascending = np.sort(scores, axis=1)
        for row, values in enumerate(of_own, start=first):
            ranks[row] = len(centroids) - np.searchsorted(ascending[row - first], values, side="right")
    return np.where(own < 0, -1, ranks)


def _least_probed(ranks: np.ndarray, recall: float) -> int:
    """The fewest blocks that find enough; all up to the last rank where none do."""
    depths = np.unique(ranks) + 1
    enough = bisect_left(depths, True, key=lambda depth: finds_enough((ranks < depth).mean(axis=1), recall))
    return int(depths[min(enough, len(depths) - 1)])


def finds_enough(shares: np.ndarray, recall: float) -> bool:
    """Whether histories of which these shares were found let expect that others find `recall` as well."""
    return bool(shares.mean() - _SPARE * shares.std() / len(shares) ** 0.5 >= recall)
