"""NDCG@10 on the validation part: what tuning and early stopping go by. Never sees the holdout."""

import copy
from collections.abc import Callable, Sequence

import numpy as np

from contracts.encoding import REPEAT_POLICIES, RepeatPolicy, encode_histories, repeats_in_front
from models.listing import LARGE, DenseScores, ListedScores, Listing
from models.metrics import paired_difference

_DEPTH = 10
_RESAMPLES = 1000
_AT_MOST, _AT_LEAST = 10_000, 1_000
_SCORES_AT_MOST = 2_000_000_000
"""Of a model that scores every item for every question: 10,000 questions up to 200,000 items, 2,000 at a million,
1,000 from two million on. The mean of a fifth of the questions is less sure by the root of five."""

_SCORES_AT_ONCE, _QUESTIONS_AT_ONCE = 1 << 24, 8
"""So many scores at once, but never fewer questions: a large table is read once for all of them."""

_LISTED_AT_ONCE = 1_000

Scores = Callable[[np.ndarray], np.ndarray]
"""A model: encoded histories int32 [batch, length] -> float32 [batch, items]."""

Look = Callable[[np.ndarray], DenseScores | ListedScores]
"""The same, to be looked up and counted."""


class Validation:
    """Questions with one right answer each, asked of a model under every repeat policy at once.

    `policy` is the one that models are tuned under, see `tuned_for`.

    `histories` are item codes, newest last; `targets` are item codes. A code from `items` on is outside the
    catalog: dropped from a history, a miss as a target. Of more than 10,000 questions, that many are drawn,
    always the same ones; a model without a `Listing` is asked fewer of them where the catalog is large.
    `groups` are the units that intervals resample, as in `Questions`; without them each question is its own.
    """

    def __init__(
        self,
        histories: Sequence[np.ndarray],
        targets: Sequence[int],
        items: int,
        max_history: int,
        groups: np.ndarray | None = None,
    ) -> None:
        chosen = _draw(np.arange(len(histories)), _AT_MOST)
        groups = np.arange(len(histories)) if groups is None else groups
        few = _draw(chosen, max(_AT_LEAST, _SCORES_AT_MOST // max(1, items)))

        def ask(which: np.ndarray) -> _Asked:
            known = [histories[i][histories[i] < items] for i in which]
            of_these = np.asarray(targets, dtype=np.int64)[which]
            return _Asked(known, of_these, groups[which], items, max_history)

        self.policy: RepeatPolicy = "mask"
        self.items = items
        self._all = ask(chosen)
        self._few = self._all if len(few) == len(chosen) else ask(few)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def encoded(self) -> np.ndarray:
        return self._all.encoded

    @property
    def targets(self) -> np.ndarray:
        return self._all.targets

    def ndcg_at_10(self, scores_of: Scores | Listing) -> float:
        """Mean NDCG@10 over all questions under `policy`.

        Of equal scores the target comes last. 0.0 where there is no question to ask.
        """
        return float(self._gains_by_policy(scores_of)[0][self.policy].mean())

    def best_policy(self, scores_of: Scores | Listing) -> tuple[RepeatPolicy, dict[RepeatPolicy, float]]:
        """The repeat policy that suits this model best, and the NDCG@10 under each.

        Nobody complains that what they have seen already is missing: another policy than `mask` must be better
        with 95 % confidence, question by question.
        """
        gains, groups = self._gains_by_policy(scores_of)
        groups = groups if len(self) else np.zeros(1, dtype=np.int64)
        figures = {policy: float(own.mean()) for policy, own in gains.items()}
        better = ["mask"]
        for policy in REPEAT_POLICIES:
            _, low, _ = paired_difference(gains[policy], gains["mask"], groups, _RESAMPLES, seed=0)
            better += [policy] if low > 0 else []
        return max(better, key=figures.__getitem__), figures

    def tuned_for(self, scores_of: Scores | Listing) -> "Validation":
        """The same questions, to tune under the policy that suits this model best.

        Where that is `first`, under `mask`: with seen items in front, what a model adds behind them would
        hardly count, and its choices would follow noise.
        """
        best, _ = self.best_policy(scores_of)
        other = copy.copy(self)
        other.policy = "mask" if best == "first" else best
        return other

    def _gains_by_policy(self, scores_of: Scores | Listing) -> tuple[dict[RepeatPolicy, np.ndarray], np.ndarray]:
        """float64 [questions] under each policy, and the groups of the questions that were asked."""
        asked, size = self._few, max(_QUESTIONS_AT_ONCE, _SCORES_AT_ONCE // max(1, self.items))
        if not isinstance(scores_of, Listing):
            look = _dense(scores_of)
        elif self.items < LARGE:
            look = _dense(scores_of.scores)
        else:
            asked, size, look = self._all, _LISTED_AT_ONCE, _listed(scores_of)
        pieces = [asked.gains(look, i, min(i + size, len(asked))) for i in range(0, len(asked), size)]
        gains = np.concatenate(pieces, axis=1) if pieces else np.zeros((len(REPEAT_POLICIES), 1))
        return dict(zip(REPEAT_POLICIES, gains, strict=True)), asked.groups


def _draw(questions: np.ndarray, count: int) -> np.ndarray:
    if len(questions) <= count:
        return questions
    return np.sort(np.random.default_rng(0).choice(questions, count, replace=False))


def _dense(scores_of: Scores) -> Look:
    return lambda histories: DenseScores(scores_of(histories))


def _listed(model: Listing) -> Look:
    in_order = np.sort(model.base)
    return lambda histories: ListedScores(model.base, in_order, model.listed(histories))


class _Asked:
    """The questions as arrays: `encoded` int32 [questions, max_history], `targets` and `groups` int64."""

    def __init__(
        self,
        histories: Sequence[np.ndarray],
        targets: np.ndarray,
        groups: np.ndarray,
        items: int,
        max_history: int,
    ) -> None:
        self.encoded = encode_histories(histories, max_history)
        self.targets, self.groups, self._items = targets, groups, items
        self._seen = _Seen(histories, targets)

    def __len__(self) -> int:
        return len(self.targets)

    def gains(self, look: Look, first: int, end: int) -> np.ndarray:
        """float64 [policies, questions]"""
        scores, seen, targets = look(self.encoded[first:end]), self._seen, self.targets[first:end]
        rows = np.arange(len(targets))
        known = targets < self._items
        own = scores.at(rows, np.where(known, targets, 0))
        low, high = np.searchsorted(seen.rows, [first, end])
        seen_rows = seen.rows[low:high] - first
        ahead = scores.at(seen_rows, seen.items[low:high]) >= own[seen_rows]
        kept = scores.count_as_good(own)
        masked = kept - np.bincount(seen_rows, ahead, minlength=len(targets)).astype(np.int64)
        last, place = seen.last[first:end], seen.place[first:end]
        without_last = kept - ((last >= 0) & (scores.at(rows, last) >= own))
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
