"""The popular list: what answers when the model cannot, through the same ranking as the model."""

import numpy as np


class PopularList:
    """A predictor that ignores the history. Scores are 1 / place in the list: they only carry the order."""

    max_history = 1
    room = None

    def __init__(self, popular: np.ndarray) -> None:
        """`popular`: every item index, most popular first."""
        self._items = popular.astype(np.int64)
        self._scores = (1 / np.arange(1, len(popular) + 1)).astype(np.float32)

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `service.predictor.OnnxPredictor.predict`."""
        candidates = self._items[: k + excluded.shape[1]]
        scores = np.tile(self._scores[: len(candidates)], (len(excluded), 1))
        for row, items in zip(scores, excluded, strict=True):
            row[np.isin(candidates, items)] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return candidates[best], np.take_along_axis(scores, best, axis=1)
