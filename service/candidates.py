"""The index of an artifact: ScaNN finds the items that the graph scores again.

Items lie in leaves of a tree, each item as half a byte for every two numbers of its row. A question looks at the
nearest leaves; a few items that score high for everybody are candidates anyhow. Every question is searched for by
itself, so nobody's candidates depend on whom else is asked for.
"""

import os

import numpy as np

from contracts.artifact import INDEX_ALWAYS, INDEX_FILES, INDEX_ITEMS, SEARCHED, Artifact, verify_file
from contracts.faults import ArtifactFault
from contracts.mapped_files import map_array

_PICKLED = "scann_docids.pkl"
"""ScaNN would unpickle it; nothing sealed is called so."""


class Candidates:
    """The index of `artifact`, whose manifest has a `search`. Raises `ArtifactFault` where it cannot be read."""

    def __init__(self, artifact: Artifact) -> None:
        manifest = artifact.manifest
        self._items, self._usual, self._room = manifest.items, manifest.search, manifest.room
        if (artifact.path / _PICKLED).exists():
            raise ArtifactFault(
                f"{artifact.path / _PICKLED} is no part of an artifact, and would be run. Remove it."
            )
        for name in () if artifact.is_verified else SEARCHED:
            if sealed := manifest.files.get(name):  # of a draft nothing is sealed yet
                verify_file(artifact.path / name, sealed)  # the library ends the process over some damages
        self._item_at = map_array(artifact.path / INDEX_ITEMS, "u4", manifest.items)
        self._always = map_array(artifact.path / INDEX_ALWAYS, "u4")
        try:
            from scann import scann_ops_pybind
        except ImportError as error:
            raise ArtifactFault(
                f"{artifact.path} needs ScaNN, which is not there ({error}). Run `pip install scann` (there are "
                "wheels for Linux), or promote another artifact."
            ) from error
        try:
            self._searcher = scann_ops_pybind.load_searcher(os.fspath(artifact.path))
        except Exception as error:  # what its bindings raise has no common base class
            raise ArtifactFault(
                f"{artifact.path} has an index that cannot be read: {error}. Expected {', '.join(INDEX_FILES)}. "
                "Export the run again with `flyweight export`."
            ) from error

    def find(self, queries: np.ndarray, wanted: int) -> np.ndarray:
        """The most promising items of each query, ascending.

        queries  float32 `[batch, d]`
        wanted   answers and exclusions of a question together. Up to the artifact's room the number of candidates
                 and what is looked at are always the same; who wants more is searched for deeper.

        Returns int64 `[batch, n]`: indices; the catalog's size where there are fewer than n.
        """
        extra = max(0, wanted - self._room)
        count = min(self._items, self._usual.candidates + extra)
        leaves = -(-self._usual.leaves * (self._usual.candidates + extra) // self._usual.candidates)
        # the bias of an item is the last number of its row
        asked = np.column_stack([queries, np.ones(len(queries), dtype=np.float32)])
        found = self._ask(asked, count, leaves)
        enough = min(self._items, self._room + extra)
        for row in np.flatnonzero((found < self._items).sum(axis=1) < enough):
            found[row] = self._ask(asked[row : row + 1], count, self._items)[0]  # small leaves: look at all
        return found

    def _ask(self, queries: np.ndarray, count: int, leaves: int) -> np.ndarray:
        """One after the other: asked many at once, ScaNN settles ties for the last places in another way."""
        candidates = np.full((len(queries), count + len(self._always)), self._items, dtype=np.int64)
        candidates[:, count:] = self._always
        for row, query in zip(candidates, queries, strict=True):
            found, _ = self._searcher.search(query, final_num_neighbors=count, leaves_to_search=leaves)
            row[: len(found)] = self._item_at[found]
        candidates.sort(axis=1)
        return candidates
