"""Who is due before the model could answer gets the popular list, before the model begins."""

import asyncio
import dataclasses
from time import perf_counter

import numpy as np
import pytest

from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from contracts.reasons import Reason, Source
from contracts.sections import Paths
from service import telemetry
from service.feature_cache import InMemoryFeatureCache
from service.pace import Pace
from service.prediction import PredictRequest
from service.recommender import Recommender
from service.rollout import Rollout

POPULAR = (Source.POPULAR, Reason.DEADLINE)
MODEL = (Source.MODEL, Reason.OK)


class Watched:
    """A predictor that notes who of `askers` had an answer when it was called, and for how many it was."""

    max_history = 4
    room = None

    def __init__(self, predictor) -> None:
        self._predictor = predictor
        self.askers: list[asyncio.Future] = []
        self.answered_before: list[bool] = []
        self.rows = 0

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple:
        self.answered_before = [asker.done() for asker in self.askers]
        self.rows += len(history)
        return self._predictor.predict(history, excluded, k)


class SlowCache(InMemoryFeatureCache):
    """`pauses`: how long readings take, one after another; then none."""

    def __init__(self, *pauses: float) -> None:
        super().__init__({"u1": np.array([10])})
        self._pauses = list(pauses)
        self.asked: list[str] = []

    async def read(self, user_ids):
        self.asked += user_ids
        await asyncio.sleep(self._pauses.pop(0) if self._pauses else 0)
        return await super().read(user_ids)


@pytest.fixture
def rollout(artifact: Artifact) -> Rollout:
    artifacts = artifact.path.parent
    move_pointer(artifacts, artifact.path)
    rollout = Rollout(Paths(artifacts=artifacts, bundle=artifacts / "none"), check_ms=1000)
    rollout.boot()
    rollout.current = dataclasses.replace(rollout.current, predictor=Watched(rollout.current.predictor))
    return rollout


@pytest.fixture(autouse=True)
def lately_is_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.pace.LATELY_SECONDS", 3600.0)


def pace_of(seconds_per_request: float) -> Pace:
    pace = Pace()
    pace.note_batch(1, seconds_per_request)
    return pace


def ask(rollout: Rollout, pace: Pace, cache: SlowCache, *questions: tuple[dict, float]) -> list:
    """Source and reason of each answer to (fields of the request, seconds until it is due)."""

    async def scenario() -> list:
        now = perf_counter()
        askers = [asyncio.get_running_loop().create_future() for _ in questions]
        rollout.current.predictor.askers = askers
        batch = [
            (PredictRequest(**{"k": 2} | fields), now + seconds, asker)
            for (fields, seconds), asker in zip(questions, askers, strict=True)
        ]
        found = await Recommender(rollout, cache, pace=pace).recommend_in_time(batch)
        for asker, answer in zip(askers, found, strict=True):
            assert (answer is None) == asker.done()  # nobody is without an answer, nobody has two
        return [(asker.result() if asker.done() else answer) for asker, answer in zip(askers, found, strict=True)]

    return asyncio.run(asyncio.wait_for(scenario(), 20))


def kinds(found: list) -> list[tuple[Source, Reason]]:
    return [(each.source, each.reason) for each in found]


def fallbacks() -> float:
    series = 'flyweight_fallbacks_total{reason="deadline"} '
    lines = telemetry.exposition().decode().splitlines()
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))


def test_who_is_due_first_is_answered_before_the_model_begins_and_the_others_by_it(rollout: Rollout) -> None:
    before = fallbacks()
    cache = SlowCache()
    found = ask(
        rollout,
        pace_of(0.1),
        cache,
        ({"user_id": "u1"}, 60),
        ({"user_id": "u1"}, 0.2),
        ({"history": ["i7"]}, 60),
        ({"history": ["i7"]}, 0.2),
    )
    assert kinds(found) == [MODEL, POPULAR, MODEL, POPULAR]
    assert rollout.current.predictor.answered_before == [False, True, False, True]
    assert rollout.current.predictor.rows == 2
    assert cache.asked == ["u1"]
    assert fallbacks() == before + 2


def test_seen_items_of_an_anonymous_history_stay_out_of_the_popular_list(rollout: Rollout) -> None:
    (found,) = ask(rollout, pace_of(9), SlowCache(), ({"history": ["i7"], "exclude": ["i6"]}, 1))
    assert [item.item_id for item in found.items] == ["i5", "i4"]


def test_who_would_not_be_asked_of_the_model_is_what_they_are(rollout: Rollout) -> None:
    found = ask(rollout, pace_of(9), SlowCache(), ({"history": []}, 1), ({"history": ["unheard-of"]}, 1))
    assert kinds(found) == [(Source.POPULAR, Reason.COLD_USER), (Source.POPULAR, Reason.UNKNOWN_ITEMS)]


def test_cold_user_in_a_hurry_gets_what_is_trending(rollout: Rollout) -> None:
    class Trending:
        numbers = np.array([12])

    found = Recommender(rollout, SlowCache(), trending=Trending()).bridge(PredictRequest(history=[], k=2))
    assert (found.source, found.reason) == (Source.TRENDING, Reason.COLD_USER)
    assert [item.item_id for item in found.items] == ["i2", "i7"]


def test_features_that_took_long_leave_no_time_for_the_model(rollout: Rollout) -> None:
    asked = ({"user_id": "u1"}, 0.4), ({"user_id": "u1"}, 60), ({"user_id": "?"}, 0.4)
    found = ask(rollout, pace_of(0.05), SlowCache(0.3), *asked)
    assert kinds(found) == [POPULAR, MODEL, (Source.POPULAR, Reason.COLD_USER)]
    assert rollout.current.predictor.answered_before == [True, False, False]


def test_features_that_take_long_lately_are_not_waited_for(rollout: Rollout) -> None:
    pace = Pace()
    pace.note_reading(0.5)
    pace.note_batch(1, 0.501)
    cache = SlowCache()
    found = ask(rollout, pace, cache, ({"user_id": "u1"}, 0.3), ({"history": ["i0"]}, 0.3))
    assert kinds(found) == [POPULAR, MODEL]
    assert not cache.asked


def test_model_that_was_not_measured_lately_is_asked(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a model that was slow once would never be asked again."""
    monkeypatch.setattr("service.pace.LATELY_SECONDS", -1.0)
    assert kinds(ask(rollout, pace_of(9), SlowCache(), ({"user_id": "u1"}, 1))) == [MODEL]


def test_client_that_left_holds_up_nobody(rollout: Rollout) -> None:
    async def scenario() -> list:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        batch = [(PredictRequest(user_id="u1"), 0.0, gone)]
        return await Recommender(rollout, SlowCache(), pace=pace_of(1)).recommend_in_time(batch)

    assert asyncio.run(scenario()) == [None]
