"""The least a neural model costs: the mean of item embeddings. For benchmarks only."""

import numpy as np

from contracts.encoding import PADDING


class MeanOfItems:
    """Scores by the mean of the history's item embeddings.

    `item_table` float32 [items + 1, d]; the last row stands for PADDING.
    """

    rung = "mean"

    def __init__(self, item_table: np.ndarray) -> None:
        self.item_table = item_table

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]; all 0 for an empty history."""
        known = (history != PADDING)[:, :, None]
        total = (self.item_table[history] * known).sum(axis=1)
        mean = total / np.maximum(known.sum(axis=1), 1).astype(np.float32)
        return mean @ self.item_table[:-1].T

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"item_table": self.item_table}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "MeanOfItems":
        return cls(arrays["item_table"])
