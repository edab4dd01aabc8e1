"""The use case: from checked requests to recommendations that say why they are what they are."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from msgspec import UNSET

from contracts.reasons import Reason, Source
from service import telemetry
from service.batching import first_request
from service.feature_cache import FeatureCache, Reading
from service.lateness import Lateness, Question, spread, without
from service.pace import Pace
from service.popular import PopularList
from service.prediction import DEFAULT_K, Item, PredictRequest
from service.ranking import Query, Ranking, rank
from service.rollout import Rollout, Serving
from service.traces import BatchTimings
from service.trending import Trending
from service.trending_list import TrendingLists

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Recommendation:
    items: list[Item]
    serving: Serving
    source: Source
    reason: Reason
    timings: BatchTimings | None = None
    """Of its batch, where a trace is kept."""


class Recommender:
    """Answers a batch of requests with one reading of features and one call of the model."""

    def __init__(
        self,
        rollout: Rollout,
        features: FeatureCache,
        *,
        pace: Pace | None = None,
        trending: Trending | None = None,
    ) -> None:
        """Without `trending`, cold users get the popular list."""
        self._rollout = rollout
        self._features = features
        self._trending = TrendingLists(trending)
        self._lateness = Lateness(pace or Pace())
        self.is_timed = False

    async def recommend(self, requests: list[PredictRequest]) -> list[Recommendation]:
        """One recommendation for each request, in order. Never fails for a fault that can be bridged."""
        return await self._recommend([(request, math.inf, None) for request in requests])

    async def recommend_in_time(self, questions: list[Question]) -> list[Recommendation | None]:
        """The same for requests that are due at some time.

        Whoever cannot wait for the model is given the popular list before the others are worked on, and has
        None here: in time beats better.
        """
        late = self._lateness.before_reading(questions)
        if not late:
            return await self._recommend(questions)
        await self._lateness.send_ahead((questions[p][2], self.bridge(questions[p][0])) for p in late)
        rest = without(late, questions)
        return spread(await self._recommend(rest) if rest else [], len(questions), late)

    def bridge(self, request: PredictRequest) -> Recommendation:
        """What can be said at once, without features and without the model."""
        serving = self._rollout.current
        known = Reason.DEADLINE if request.history is UNSET else request.history
        history, reason = _look_up(serving, known)
        return self._bridge(serving, _query(serving, request, history), reason)

    async def _recommend(self, questions: list[Question]) -> list[Recommendation | None]:
        began = perf_counter()
        requests = [request for request, _, _ in questions]
        readings = await self._read(requests)
        late = self._lateness.after_reading(questions, began)
        read = telemetry.count_stage("features", began)
        serving = self._rollout.current  # one artifact for the whole batch
        looked_up = [_look_up(serving, reading) for reading in readings]
        queries = [_query(serving, r, history) for r, (history, _) in zip(requests, looked_up, strict=True)]
        reasons = [reason for _, reason in looked_up]
        if late:
            late = {place for place in late if _suits_model(serving, reasons[place])}
            ahead = [(questions[p][2], self._bridge(serving, queries[p], reasons[p])) for p in late]
            await self._lateness.send_ahead(ahead)
            queries, reasons = without(late, queries), without(late, reasons)
        encoded = telemetry.count_stage("encode", read)
        answers = self._rank(serving, queries, reasons, questions)
        predicted = telemetry.count_stage("predict", encoded)
        recommendations = [_name_items(serving, *answer) for answer in answers]
        decoded = telemetry.count_stage("decode", predicted)
        if self.is_timed:
            timings = BatchTimings(len(questions), began, read, encoded, predicted, decoded)
            for each in recommendations:
                each.timings = timings
        return spread(recommendations, len(questions), late) if late else recommendations

    async def _read(self, requests: list[PredictRequest]) -> list[Reading | list[str]]:
        """What is known of each asker: the history that came with the request, or the feature cache's."""
        users = [request.user_id for request in requests if request.history is UNSET]
        if not users:
            return [request.history for request in requests]
        found = await self._features.read(users)
        telemetry.count_lookups(found)
        readings = iter(found)
        return [next(readings) if r.history is UNSET else r.history for r in requests]

    def _rank(
        self, serving: Serving, queries: list[Query], reasons: list[Reason], questions: list[Question]
    ) -> list[tuple[Ranking, Source, Reason]]:
        """Ask the model where it can answer, and the popular list for the rest."""
        asks_model = [_suits_model(serving, reason) for reason in reasons]
        try:
            ranked = rank(serving.predictor, _chosen(queries, asks_model))
        except Exception:  # whatever the engine raises, the popular list bridges it
            told = {"request_id": first_request(asker for _, _, asker in questions)}
            _LOG.exception("%s fails at run time; the popular list answers", serving.artifact.path, extra=told)
            reasons = [Reason.MODEL_UNAVAILABLE if a else r for a, r in zip(asks_model, reasons, strict=True)]
            asks_model = [False] * len(queries)
            ranked = []
        answers: dict[Source, Iterator[Ranking]] = {Source.MODEL: iter(ranked)}
        trending = self._trending.of(serving)
        sources = [_source(asks, reason, trending) for asks, reason in zip(asks_model, reasons, strict=True)]
        for source, known in ((Source.POPULAR, serving.popular), (Source.TRENDING, trending)):
            if source in sources:
                answers[source] = iter(rank(known, _chosen(queries, [s is source for s in sources])))
        return [(next(answers[source]), source, reason) for source, reason in zip(sources, reasons, strict=True)]

    def _bridge(self, serving: Serving, query: Query, reason: Reason) -> Recommendation:
        """The deadline is the reason where the model would have been asked; others get what they always get."""
        if _suits_model(serving, reason):
            reason = Reason.DEADLINE
        trending = self._trending.of(serving)
        source = _source(False, reason, trending)
        (ranking,) = rank(trending if source is Source.TRENDING else serving.popular, [query])
        return _name_items(serving, ranking, source, reason)


def _look_up(serving: Serving, reading: Reading | list[str]) -> tuple[Sequence[int] | np.ndarray, Reason]:
    """The history as item indices, and what that allows."""
    if isinstance(reading, Reason):
        return (), reading
    if reading is None or len(reading) == 0:
        return (), Reason.COLD_USER
    if isinstance(reading, np.ndarray):
        indices = serving.catalog.indices_of_numbers(reading)
    else:
        indices = serving.catalog.indices_of_ids(reading)
    telemetry.count_unknown_items(len(reading) - len(indices))
    return indices, Reason.OK if len(indices) else Reason.UNKNOWN_ITEMS


def _query(serving: Serving, request: PredictRequest, history: Sequence[int] | np.ndarray) -> Query:
    return Query(
        history,
        DEFAULT_K if request.k is UNSET else request.k,
        () if request.exclude is UNSET else serving.catalog.indices_of_ids(request.exclude),
        serving.repeat_policy if request.seen is UNSET else request.seen,
    )


def _suits_model(serving: Serving, reason: Reason) -> bool:
    return reason is Reason.OK or not (serving.needs_history or reason.degraded)


def _source(asks_model: bool, reason: Reason, trending: PopularList | None) -> Source:
    """Whom the model cannot tell from others gets what is trending; a fault has one defined answer."""
    if asks_model:
        return Source.MODEL
    return Source.POPULAR if trending is None or reason.degraded else Source.TRENDING


def _chosen(queries: list[Query], marks: list[bool]) -> list[Query]:
    return [query for query, marked in zip(queries, marks, strict=True) if marked]


def _name_items(serving: Serving, ranking: Ranking, source: Source, reason: Reason) -> Recommendation:
    if source is not Source.MODEL:
        telemetry.count_fallback(reason)
    ids = serving.catalog.ids_of(ranking.items)
    items = [Item(item_id, score) for item_id, score in zip(ids, ranking.scores, strict=True)]
    return Recommendation(items, serving, source, reason)
