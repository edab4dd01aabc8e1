"""The one way from histories to answers, for the service, measuring, evaluation and batch alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from contracts.encoding import (
    RepeatPolicy,
    encode_excluded,
    encode_histories,
    excluded_by_policy,
    repeats_in_front,
)


class Predictor(Protocol):
    """What `rank` needs of a model; see `service.predictor.OnnxPredictor`."""

    max_history: int
    room: int | None
    """See `contracts.artifact.Manifest.room`."""

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(slots=True)
class Query:
    """One question: item indices newest last, how many items, and which ones never."""

    history: Sequence[int] | np.ndarray
    k: int
    excluded: Sequence[int] = ()
    policy: RepeatPolicy = "mask"


@dataclass(slots=True)
class Ranking:
    """Item indices, best first, with their scores. Shorter than k only when fewer items remain."""

    items: list[int]
    scores: list[float]


def rank(predictor: Predictor, queries: Sequence[Query]) -> list[Ranking]:
    """Answer all queries with one call of the model. What shares the batch never changes an answer.

    Where the model looks at a part of the catalog, who asks for more than that part holds is asked for alone.
    """
    if not queries:
        return []
    excluded = [_excluded(query) for query in queries]
    if predictor.room is None or _fit_together(queries, excluded, predictor.room):
        return _rank_together(predictor, queries, excluded)
    alone = [query.k + len(items) > predictor.room // 2 for query, items in zip(queries, excluded, strict=True)]
    rankings: list[Ranking | None] = [None] * len(queries)
    groups = [[place] for place, is_alone in enumerate(alone) if is_alone]
    groups.append([place for place, is_alone in enumerate(alone) if not is_alone])
    for group in filter(None, groups):
        found = _rank_together(predictor, [queries[p] for p in group], [excluded[p] for p in group])
        for place, ranking in zip(group, found, strict=True):
            rankings[place] = ranking
    return rankings


def _fit_together(queries: Sequence[Query], excluded: Sequence[Sequence[int]], room: int) -> bool:
    return max(query.k for query in queries) + max(map(len, excluded)) <= room


def _rank_together(
    predictor: Predictor, queries: Sequence[Query], excluded: Sequence[Sequence[int]]
) -> list[Ranking]:
    items, scores = predictor.predict(
        encode_histories([query.history for query in queries], predictor.max_history),
        encode_excluded(excluded),
        max(query.k for query in queries),
    )
    complete = np.isfinite(scores).all(axis=1).tolist()
    rows = zip(queries, items.tolist(), scores.tolist(), complete, strict=True)
    return [_cut(*row) for row in rows]


def _excluded(query: Query) -> Sequence[int] | np.ndarray:
    by_policy = excluded_by_policy(query.history, query.policy)
    return [*by_policy, *query.excluded] if query.excluded else by_policy


def _cut(query: Query, items: list[int], scores: list[float], complete: bool) -> Ranking:
    """The first k of a row that were not excluded, behind the seen items where the policy is `first`."""
    if not complete:
        answers = [place for place, score in enumerate(scores) if math.isfinite(score)]
        items, scores = [items[place] for place in answers], [scores[place] for place in answers]
    ranking = Ranking(items[: query.k], scores[: query.k])
    return _put_repeats_in_front(query, ranking) if query.policy == "first" else ranking


def _put_repeats_in_front(query: Query, behind: Ranking) -> Ranking:
    """Seen items have no score of the model here: theirs go down in steps of one to just above its best."""
    front = [item for item in repeats_in_front(np.asarray(query.history).tolist()) if item not in query.excluded]
    best = behind.scores[0] if behind.scores else 0.0
    steps = [best + len(front) - place for place in range(len(front))]
    return Ranking((front + behind.items)[: query.k], (steps + behind.scores)[: query.k])
