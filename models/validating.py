"""NDCG@10 on the validation part: what tuning and early stopping go by. Never sees the holdout."""

import copy
from collections.abc import Callable, Sequence

import numpy as np

from contracts.encoding import REPEAT_POLICIES, RepeatPolicy, encode_histories, repeats_in_front
from models.metrics import paired_difference

_DEPTH = 10
_RESAMPLES = 1000
_AT_MOST = 10_000
_SCORES_AT_ONCE = 1 << 24

Scores = Callable[[np.ndarray], np.ndarray]
"""A model: encoded histories int32 [batch, length] -> float32 [batch, items]."""


class Validation:
    """Questions with one right answer each, asked of a model under every repeat policy at once.

    `policy` is the one that models are tuned under, see `tuned_for`.

    `histories` are item codes, newest last; `targets` are item codes. A code from `items` on is outside the
    catalog: dropped from a history, a miss as a target. Of more than 10,000 questions, that many are drawn,
    always the same ones. `groups` are the units that intervals resample, as in `Questions`; without them each
    question is its own.
    """

    def __init__(
        self,
        histories: Sequence[np.ndarray],
        targets: Sequence[int],
        items: int,
        max_history: int,
        groups: np.ndarray | None = None,
    ) -> None:
        chosen = np.arange(len(histories))
        if len(chosen) > _AT_MOST:
            chosen = np.sort(np.random.default_rng(0).choice(len(chosen), _AT_MOST, replace=False))
        known = [histories[i][histories[i] < items] for i in chosen]
        self.policy: RepeatPolicy = "mask"
        self.items = items
        self.encoded = encode_histories(known, max_history)
        self.targets = np.asarray(targets, dtype=np.int64)[chosen]
        self._groups = (np.arange(len(histories)) if groups is None else groups)[chosen]
        self._seen = _Seen(known, self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def ndcg_at_10(self, scores_of: Scores) -> float:
        """Mean NDCG@10 over all questions under `policy`.

        Of equal scores the target comes last. 0.0 where there is no question to ask.
        """
        return float(self._gains_by_policy(scores_of)[self.policy].mean())

    def best_policy(self, scores_of: Scores) -> tuple[RepeatPolicy, dict[RepeatPolicy, float]]:
        """The repeat policy that suits this model best, and the NDCG@10 under each.

        Nobody complains that what they have seen already is missing: another policy than `mask` must be better
        with 95 % confidence, question by question.
        """
        gains = self._gains_by_policy(scores_of)
        groups = self._groups if len(self) else np.zeros(1, dtype=np.int64)
        figures = {policy: float(own.mean()) for policy, own in gains.items()}
        better = ["mask"]
        for policy in REPEAT_POLICIES:
            _, low, _ = paired_difference(gains[policy], gains["mask"], groups, _RESAMPLES, seed=0)
            better += [policy] if low > 0 else []
        return max(better, key=figures.__getitem__), figures

    def tuned_for(self, scores_of: Scores) -> "Validation":
        """The same questions, to tune under the policy that suits this model best.

        Where that is `first`, under `mask`: with seen items in front, what a model adds behind them would
        hardly count, and its choices would follow noise.
        """
        best, _ = self.best_policy(scores_of)
        other = copy.copy(self)
        other.policy = "mask" if best == "first" else best
        return other

    def _gains_by_policy(self, scores_of: Scores) -> dict[RepeatPolicy, np.ndarray]:
        size = max(1, _SCORES_AT_ONCE // max(1, self.items))
        pieces = [self._gains(scores_of, i, min(i + size, len(self))) for i in range(0, len(self), size)]
        gains = np.concatenate(pieces, axis=1) if pieces else np.zeros((len(REPEAT_POLICIES), 1))
        return dict(zip(REPEAT_POLICIES, gains, strict=True))

    def _gains(self, scores_of: Scores, first: int, end: int) -> np.ndarray:
        """float64 [policies, questions]"""
        scores, seen, targets = scores_of(self.encoded[first:end]), self._seen, self.targets[first:end]
        rows = np.arange(len(targets))
        known = targets < self.items
        own = scores[rows, np.where(known, targets, 0)]
        low, high = np.searchsorted(seen.rows, [first, end])
        seen_rows = seen.rows[low:high] - first
        ahead = scores[seen_rows, seen.items[low:high]] >= own[seen_rows]
        kept = (scores >= own[:, None]).sum(axis=1)
        masked = kept - np.bincount(seen_rows, ahead, minlength=len(targets)).astype(np.int64)
        last, place = seen.last[first:end], seen.place[first:end]
        without_last = kept - ((last >= 0) & (scores[rows, last] >= own))
        ranks = {
            "mask": np.where(place > 0, 0, masked),
            "keep": kept,
            "drop-last": np.where(last == targets, 0, without_last),
            "first": np.where(place > 0, place, seen.distinct[first:end] + masked),
        }
        found = np.stack([ranks[policy] for policy in REPEAT_POLICIES])
        hit = known & (found > 0) & (found <= _DEPTH)
        return np.where(hit, 1 / np.log2(np.maximum(found, 1) + 1), 0.0)


class _Seen:
    """What each history holds. One entry per distinct item: `rows` and `items` int64, sorted by row.

    Per question int64: `last` the newest item or -1; `distinct` how many; `place` where the target stands
    when seen items are put in front, from 1, or 0 where it was not seen.
    """

    def __init__(self, histories: Sequence[np.ndarray], targets: np.ndarray) -> None:
        in_front = [repeats_in_front(history.tolist()) for history in histories]
        self.distinct = np.array([len(items) for items in in_front], dtype=np.int64)
        self.rows = np.repeat(np.arange(len(in_front)), self.distinct)
        self.items = np.array([item for items in in_front for item in items], dtype=np.int64)
        self.last = np.array([h[-1] if len(h) else -1 for h in histories], dtype=np.int64)
        places = [
            items.index(target) + 1 if target in items else 0
            for items, target in zip(in_front, targets.tolist(), strict=True)
        ]
        self.place = np.array(places, dtype=np.int64)
