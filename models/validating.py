"""NDCG@10 on the validation part: what tuning and early stopping go by. Never sees the holdout."""

from collections.abc import Callable, Sequence

import numpy as np

from contracts.encoding import encode_histories

_DEPTH = 10
_AT_MOST = 10_000
_SCORES_AT_ONCE = 1 << 24


class Validation:
    """Questions with one right answer each, asked of a model under the repeat policy `mask`.

    `histories` are item codes, newest last; `targets` are item codes. A code from `items` on is outside the
    catalog: dropped from a history, a miss as a target. So is a target that its history holds. Of more than
    10,000 questions, that many are drawn, always the same ones.
    """

    def __init__(
        self, histories: Sequence[np.ndarray], targets: Sequence[int], items: int, max_history: int
    ) -> None:
        chosen = np.arange(len(histories))
        if len(chosen) > _AT_MOST:
            chosen = np.sort(np.random.default_rng(0).choice(len(chosen), _AT_MOST, replace=False))
        known = [histories[i][histories[i] < items] for i in chosen]
        self.items = items
        self.encoded = encode_histories(known, max_history)
        self.targets = np.asarray(targets, dtype=np.int64)[chosen]
        self.seen_rows = np.repeat(np.arange(len(known)), [len(history) for history in known])
        self.seen_items = np.concatenate([np.zeros(0, dtype=np.int64), *known]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.targets)

    def ndcg_at_10(self, scores_of: Callable[[np.ndarray], np.ndarray]) -> float:
        """Mean NDCG@10 of `scores_of` (encoded histories -> float32 [batch, items]) over all questions.

        Of equal scores the target comes last. 0.0 where there is no question to ask.
        """
        size = max(1, _SCORES_AT_ONCE // max(1, self.items))
        gains = [self._gains(scores_of, i, min(i + size, len(self))) for i in range(0, len(self), size)]
        return float(np.concatenate(gains).mean()) if gains else 0.0

    def _gains(self, scores_of: Callable[[np.ndarray], np.ndarray], first: int, end: int) -> np.ndarray:
        scores = np.array(scores_of(self.encoded[first:end]))
        low, high = np.searchsorted(self.seen_rows, [first, end])
        scores[self.seen_rows[low:high] - first, self.seen_items[low:high]] = -np.inf
        targets = self.targets[first:end]
        known = targets < self.items
        own = scores[np.arange(len(targets)), np.where(known, targets, 0)]
        ranks = (scores >= own[:, None]).sum(axis=1)
        return np.where(known & np.isfinite(own) & (ranks <= _DEPTH), 1 / np.log2(ranks + 1), 0.0)
