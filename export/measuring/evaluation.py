"""How good an artifact answers, asked through the predictor that serves, over the full catalog."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from contracts.artifact import Artifact
from contracts.encoding import PADDING, Catalog, RepeatPolicy
from contracts.progress import Progress, silent
from models import metrics
from models.splits.questions import EVERY_PREFIX, Questions
from service.popular import PopularList
from service.predictor import OnnxPredictor
from service.ranking import Query, Ranking, rank

DEPTH = 50
"""Items asked for per question: more than the deepest metric looks at, so that ties are seen whole."""

PROTOCOL_POLICY: dict[str, RepeatPolicy] = {
    "time-split": "mask",
    "leave-one-out": "mask",
    "every-prefix": "drop-last",
}
"""What the published protocols do with seen items; `seen` overrides it."""

SHORT_HISTORY = 5
HEAD_SHARE = 0.2
_BATCH, _SCORES_AT_ONCE = 256, 1 << 24
_OUTSIDE = -2
"""From here down stand targets outside the catalog: equal to no answer, to no padding, to each other."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Slice(msgspec.Struct, frozen=True):
    evaluations: int
    metrics: dict[str, Estimate]


class Evaluation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `flyweight evaluate --json` writes. `not_asked`: how many more questions there were, where only some
    were drawn; the intervals are those of what was asked."""

    protocol: str
    seen: RepeatPolicy
    evaluations: int
    unknown_targets: int
    metrics: dict[str, Estimate]
    slices: dict[str, Slice]
    not_asked: int = 0

    @property
    def asked(self) -> str:
        """How many were asked, as a person reads it."""
        of_all = f" of {self.evaluations + self.not_asked:,}" if self.not_asked else ""
        return f"{self.evaluations:,}{of_all} evaluations"


@dataclass(frozen=True)
class Answers:
    """One artifact's answers to `questions`, and per question what each metric says of them."""

    questions: Questions
    policy: RepeatPolicy
    recommended: np.ndarray
    unknown_targets: int
    per_question: dict[str, np.ndarray]

    def share_of(self, exact: "Answers", count: int = 10) -> float:
        """Of the `count` best of `exact`, the share that stands among the same number here."""
        ours, theirs = self.recommended[:, :count], exact.recommended[:, :count]
        there = theirs != PADDING
        found = ((ours[:, :, None] == theirs[:, None, :]).any(axis=1) & there).sum()
        return float(found / max(1, there.sum()))

    def paired(self, other: "Answers", metric: str, resamples: int) -> Estimate:
        """This minus the other, question by question, so that what both find hard cancels out."""
        ours, theirs = self.per_question[metric], other.per_question[metric]
        return Estimate(*metrics.paired_difference(ours, theirs, self.questions.groups, resamples, seed=0))


def codes_to_indices(catalog: Catalog, item_ids: Sequence[str]) -> np.ndarray:
    """int32 `[codes]`: the item index of each of a log's items, PADDING where the catalog has none."""
    return catalog.places_of_ids(item_ids)


def answer(
    predictor: OnnxPredictor,
    questions: Questions,
    item_ids: Sequence[str],
    policy: RepeatPolicy,
    progress: Progress = silent,
) -> Answers:
    """Ask every question; `item_ids` says what the item codes of the questions stand for.

    As in the service, a history of which the catalog holds nothing gets the popular list.
    """
    to_index = codes_to_indices(predictor.artifact.catalog, item_ids)
    depth = min(DEPTH, predictor.items)
    recommended = np.full((len(questions.histories), depth), PADDING, dtype=np.int64)
    scores = np.full(recommended.shape, -np.inf, dtype=np.float32)
    popular = PopularList(predictor.artifact.popular)
    at_once = max(1, min(_BATCH, _SCORES_AT_ONCE // predictor.items))
    for start in range(0, len(recommended), at_once):
        histories = [_in_catalog(to_index, h) for h in questions.histories[start : start + at_once]]
        asked = np.array([len(history) > 0 for history in histories])
        rankings = rank(predictor, [Query(h, depth, policy=policy) for h in histories if h])
        _fill(recommended, scores, start + np.flatnonzero(asked), rankings)
        rankings = rank(popular, [Query(h, depth, policy=policy) for h in histories if not h])
        _fill(recommended, scores, start + np.flatnonzero(~asked), rankings)
        progress(f"asking {predictor.artifact.name}", start + len(histories), len(recommended))
    targets = _targets_in_catalog(to_index, questions)
    unknown = sum(int(target[0] <= _OUTSIDE) for target in targets)
    per_question = _metrics_of(questions.protocol, recommended, scores, targets)
    return Answers(questions, policy, recommended, unknown, per_question)


def evaluate(
    artifact: Artifact,
    answers: Answers,
    cold: Questions | None,
    item_ids: Sequence[str],
    protocol: str,
    resamples: int,
) -> Evaluation:
    """Means with intervals over all questions and over the slices; `cold` are the users without a history."""
    per_question, groups = answers.per_question, answers.questions.groups
    overall = _estimates(per_question, groups, resamples)
    covered = metrics.coverage(answers.recommended, len(artifact.catalog), 10)
    overall["Coverage@10"] = Estimate(covered, covered, covered)
    slices = {
        name: Slice(
            int(mask.sum()),
            _estimates({metric: values[mask] for metric, values in per_question.items()}, groups[mask], resamples),
        )
        for name, mask in _slices(artifact, answers.questions, item_ids).items()
        if mask.any()
    }
    of_cold = evaluate_cold(artifact, cold, item_ids, resamples) if cold else None
    if of_cold:
        slices["cold users"] = of_cold
    return Evaluation(
        protocol,
        answers.policy,
        len(answers.recommended),
        answers.unknown_targets,
        overall,
        slices,
        answers.questions.left_out,
    )


def evaluate_cold(
    artifact: Artifact, questions: Questions, item_ids: Sequence[str], resamples: int
) -> Slice | None:
    """Users without a history, who get the popular list: a slice of its own, outside the headline."""
    if not len(questions):
        return None
    popular = artifact.popular[:DEPTH].astype(np.int64)
    recommended = np.tile(popular, (len(questions), 1))
    falling = np.tile(-np.arange(len(popular), dtype=np.float32), (len(questions), 1))
    targets = _targets_in_catalog(codes_to_indices(artifact.catalog, item_ids), questions)
    per_question = _metrics_of(questions.protocol, recommended, falling, targets)
    return Slice(len(questions), _estimates(per_question, questions.groups, resamples))


def _targets_in_catalog(to_index: np.ndarray, questions: Questions) -> list[np.ndarray]:
    return [np.where(to_index[t] == PADDING, _OUTSIDE - t, to_index[t]) for t in questions.targets]


def _in_catalog(to_index: np.ndarray, codes: np.ndarray) -> list[int]:
    indices = to_index[codes]
    return indices[indices != PADDING].tolist()


def _fill(recommended: np.ndarray, scores: np.ndarray, rows: np.ndarray, rankings: Sequence[Ranking]) -> None:
    for row, ranking in zip(rows, rankings, strict=True):
        recommended[row, : len(ranking.items)] = ranking.items
        scores[row, : len(ranking.scores)] = ranking.scores


def _metrics_of(
    protocol: str, recommended: np.ndarray, scores: np.ndarray, targets: list[np.ndarray]
) -> dict[str, np.ndarray]:
    next_items = np.array([target[0] for target in targets], dtype=np.int64)
    ranks = metrics.ranks(recommended, scores, next_items)
    per_question = {
        "NDCG@10": metrics.ndcg_at(ranks, 10),
        "HitRate@10": metrics.hit_rate_at(ranks, 10),
        "MRR@20": metrics.reciprocal_rank_at(ranks, 20),
        "HitRate@20": metrics.hit_rate_at(ranks, 20),
        "Recall@20": metrics.hit_rate_at(ranks, 20),
    }
    if protocol == EVERY_PREFIX:  # the remaining items of the session are all right answers
        all_ranks, owners = metrics.ranks_of_all(recommended, scores, targets)
        per_question["Recall@20"] = metrics.recall_at(all_ranks, owners, 20)
        per_question["NDCG@20"] = metrics.ndcg_multi_at(all_ranks, owners, 20)
    return per_question


def _slices(artifact: Artifact, questions: Questions, item_ids: Sequence[str]) -> dict[str, np.ndarray]:
    lengths = np.array([len(history) for history in questions.histories])
    head = artifact.popular[: int(len(artifact.popular) * HEAD_SHARE)]
    next_items = codes_to_indices(artifact.catalog, item_ids)[questions.next_items()]
    return {
        f"users with fewer than {SHORT_HISTORY} interactions": lengths < SHORT_HISTORY,
        f"targets outside the {HEAD_SHARE:.0%} most popular items": ~np.isin(next_items, head),
    }


def _estimates(per_question: dict[str, np.ndarray], groups: np.ndarray, resamples: int) -> dict[str, Estimate]:
    return {
        name: Estimate(*metrics.interval(values, groups, resamples, seed=0))
        for name, values in per_question.items()
    }
