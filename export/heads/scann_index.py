"""ScaNN's index of a table of items, and how much of it a question has to look at.

Guo et al., Accelerating Large-Scale Inference with Anisotropic Vector Quantization (2020): items in the leaves of
a tree, the rows as half a byte for every two numbers, rounded so that what scores high stays in its place.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from contracts.artifact import INDEX_ALWAYS, INDEX_FILES, INDEX_ITEMS, LEAVES_OF_INDEX, ROWS_OF_INDEX, Search
from contracts.machine import cores
from export.graphs.scoring import Scoring
from export.heads.probing import Probed, best_in_batches, finds_enough, front_of, queries_of, rows_with_bias
from export.variants.rewriting import CannotBeMade

BEHIND = 100
"""Of the candidates so many are not asked for: they make up for what the index ranks wrongly."""

_CANDIDATES = (320, 1000, 3000)
_DEEPER = 1.25
"""How much more leaves the next depth looks at."""

_COST = 100
"""Scoring a candidate again takes as long as looking at so many items in the index: some .1 us and 1 ns."""

_LEAST_SAMPLE, _PER_LEAF = 100_000, 50
"""Rows that the leaves are learned from."""

_ALWAYS = 64
"""Items that are candidates of every question. Of ten million with few learned well, the best 320 of the index
held .60 of the exact ten best in one build and .92 in another, and .92 in both together with these."""

_LEAST_ITEMS = 16
"""Half a byte tells so many apart."""

_ANISOTROPIC = 0.2
"""ScaNN's own advice for inner products."""


@dataclass(frozen=True)
class Index:
    """The index, what is a candidate anyhow, how much is looked at, and what other depths would have found."""

    searcher: object
    always: np.ndarray
    search: Search
    curve: list[Probed]

    def write(self, folder: Path) -> None:
        """The files of the index, and which item lies where in it."""
        before = set(folder.iterdir())
        self.searcher.serialize(str(folder), relative_path=True)
        written = {path.name for path in set(folder.iterdir()) - before}
        if written != set(INDEX_FILES):
            raise RuntimeError(f"ScaNN wrote {sorted(written)}, expected {sorted(INDEX_FILES)}")
        items = _sort_by_leaf(folder)
        np.save(folder / INDEX_ITEMS, np.where(np.isin(items, self.always), len(items), items).astype(np.uint32))
        np.save(folder / INDEX_ALWAYS, self.always.astype(np.uint32))


def plan_index(
    scoring: Scoring, best_of: Callable[[np.ndarray], np.ndarray], choosing: list[list[int]], recall: float
) -> Index:
    """The cheapest depth at which the histories `choosing` find the share `recall` of the exact ten best, with
    something to spare; the greatest where none does. `best_of` as in `plan_search`. Raises `CannotBeMade`."""
    rows, leaves, front = rows_with_bias(scoring), leaves_of(scoring.items), front_of(scoring)
    searcher, always = _build(rows), _longest(rows)
    queries, best = queries_of(scoring, choosing), best_in_batches(scoring, best_of, choosing)

    def shares_at(depth: int, candidates: int) -> np.ndarray:
        how = {"final_num_neighbors": candidates, "leaves_to_search": depth}
        found, distances = searcher.search_batched(queries, **how)
        own = [row[~np.isnan(none)] for row, none in zip(found, distances, strict=True)]
        return np.array([np.isin(of, [*row, *always, *front]).mean() for row, of in zip(own, best, strict=True)])

    plans = []
    for candidates in _CANDIDATES:
        curve, is_enough = _deepen(partial(shares_at, candidates=candidates), leaves, recall)
        cost = curve[-1].blocks * scoring.items / leaves + _COST * candidates
        plans.append((is_enough, -cost, Search(curve[-1].blocks, candidates, scoring.dimension), curve))
        if candidates >= scoring.items:
            break
    _, _, search, curve = max(plans, key=lambda plan: plan[:2])
    return Index(searcher, always, search, curve)


def _sort_by_leaf(folder: Path) -> np.ndarray:
    """Who reads the index takes the places leaf by leaf. Where leaves lie one after the other that is one way
    through memory, and ten million items are there in .8 s instead of 2.6, in which its process does nothing else.
    Returns which item lies at each place now.
    """
    leaves = np.load(folder / LEAVES_OF_INDEX)
    items = np.argsort(leaves, kind="stable")
    np.save(folder / LEAVES_OF_INDEX, leaves[items])
    np.save(folder / ROWS_OF_INDEX, np.load(folder / ROWS_OF_INDEX)[items])
    return items


def _longest(rows: np.ndarray) -> np.ndarray:
    """int64, ascending: items that score high for everybody. Half a byte is to tell sixteen values apart that are
    learned from a sample, and a few items far from all others are in it or not, as luck will have it."""
    count = min(_ALWAYS, len(rows))
    squares = np.einsum("ij,ij->i", rows, rows)
    return np.sort(np.argpartition(-squares, count - 1)[:count])


def leaves_of(items: int) -> int:
    """Four roots, a power of two: within what FAISS and ScaNN recommend."""
    return 1 << max(0, round(np.log2(4 * np.sqrt(items))))


def _build(rows: np.ndarray) -> object:
    """A searcher for `rows` float32 [items, d + 1], whose last number is the bias. The same rows do not always
    give the same index, not even on one thread: every export is chosen for and measured by itself."""
    if len(rows) < _LEAST_ITEMS:
        raise CannotBeMade(f"{len(rows)} items are too few for an index: expected {_LEAST_ITEMS}")
    try:
        from scann import scann_ops_pybind
    except ImportError as error:
        raise CannotBeMade(f"ScaNN is not installed ({error}); there are wheels for Linux") from error
    leaves = leaves_of(len(rows))
    sample = min(len(rows), max(_LEAST_SAMPLE, _PER_LEAF * leaves))
    build = (
        scann_ops_pybind.builder(rows, _CANDIDATES[0], "dot_product")
        .set_n_training_threads(cores())
        .tree(num_leaves=leaves, num_leaves_to_search=leaves, training_sample_size=sample)
        .score_ah(2, anisotropic_quantization_threshold=_ANISOTROPIC)
    )
    with _silence():
        return build.build()


@contextmanager
def _silence() -> Iterator[None]:
    """ScaNN writes to standard error how it gets on, in lines of its own making; what fails it raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _deepen(shares_at: Callable[[int], np.ndarray], leaves: int, recall: float) -> tuple[list[Probed], bool]:
    """What is found ever deeper, until that is enough or all leaves are looked at; and whether it is enough."""
    curve, depth = [], 1
    while True:
        shares = shares_at(depth)
        curve.append(Probed(depth, float(shares.mean())))
        is_enough = finds_enough(shares, recall)
        if is_enough or depth == leaves:
            return curve, is_enough
        depth = min(leaves, max(depth + 1, round(depth * _DEEPER)))
