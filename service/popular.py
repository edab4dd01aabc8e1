"""The popular list: what answers when the model cannot, through the same ranking as the model."""

import numpy as np

_AT_HAND = 2048
"""Places kept ready: the longest answer, and three times as many excluded. What is behind is read when needed."""

_NOTHING = np.empty(0, dtype=np.int32)


class PopularList:
    """A predictor that ignores the history. Scores are 1 / place in the list: they only carry the order."""

    max_history = 1
    room = None

    def __init__(self, popular: np.ndarray, front: np.ndarray = _NOTHING) -> None:
        """`popular`: every item index, most popular first; it may be mapped, and is not copied.

        `front`: item indices, each once, that stand before all others.
        """
        self._popular, self._front = popular, front
        self._items, self._scores = self._first(_AT_HAND)

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `service.predictor.OnnxPredictor.predict`."""
        asked = k + excluded.shape[1]
        places = (self._items, self._scores) if asked <= _AT_HAND else self._first(asked)
        candidates, falling = (each[:asked] for each in places)
        scores = np.tile(falling, (len(excluded), 1))
        for row, items in zip(scores, excluded, strict=True):
            row[np.isin(candidates, items)] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return candidates[best], np.take_along_axis(scores, best, axis=1)

    def _first(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Items and scores of the first places. As many of the popular list do, whatever is in front."""
        items = self._popular[:count].astype(np.int64)
        if len(self._front):
            behind = items[~np.isin(items, self._front)]
            items = np.concatenate([self._front, behind])[: len(items)]
        return items, (1 / np.arange(1, len(items) + 1)).astype(np.float32)
