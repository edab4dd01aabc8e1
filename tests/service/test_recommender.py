import asyncio
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from contracts.reasons import Reason, Source
from contracts.sections import Paths
from service import telemetry
from service.feature_cache import InMemoryFeatureCache
from service.prediction import PredictRequest
from service.recommender import Recommendation, Recommender
from service.rollout import Rollout


class FaultyCache:
    """A feature cache with one fault."""

    def __init__(self, reason: Reason) -> None:
        self._reason = reason

    async def read(self, user_ids: list[str]) -> list[Reason]:
        return [self._reason] * len(user_ids)

    async def fault(self) -> Reason:
        return self._reason

    async def close(self) -> None:
        pass


class BrokenPredictor:
    max_history = 4
    room = None

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple:
        raise RuntimeError("the engine gave up")


# item numbers of the catalog are 10 .. 16 and 70,000; 99 is an item of a later training
CACHE = InMemoryFeatureCache({"known": np.array([10]), "later": np.array([99]), "both": np.array([99, 10])})


def roll_out(artifact: Artifact) -> Rollout:
    artifacts = artifact.path.parent
    move_pointer(artifacts, artifact.path)
    rollout = Rollout(Paths(artifacts=artifacts, bundle=artifacts / "none"), check_ms=1000)
    rollout.boot()
    return rollout


@pytest.fixture
def rollout(artifact: Artifact) -> Rollout:
    return roll_out(artifact)


def recommend(rollout: Rollout, *requests: PredictRequest, cache=CACHE) -> list[Recommendation]:
    return asyncio.run(Recommender(rollout, cache).recommend(list(requests)))


def shown(found: Recommendation) -> tuple[list[str], Source, Reason]:
    return [item.item_id for item in found.items], found.source, found.reason


def ask(rollout: Rollout, cache=CACHE, **fields) -> tuple[list[str], Source, Reason]:
    (found,) = recommend(rollout, PredictRequest(**{"k": 2, **fields}), cache=cache)
    return shown(found)


def test_known_user_gets_the_model(rollout: Rollout) -> None:
    assert ask(rollout, user_id="known") == (["i1", "i2"], Source.MODEL, Reason.OK)


def test_user_without_history_gets_the_popular_list(rollout: Rollout) -> None:
    assert ask(rollout, user_id="nobody") == (["i7", "i6"], Source.POPULAR, Reason.COLD_USER)


class Trending:
    """i2 and an item of another catalog."""

    numbers = np.array([99, 12], dtype=np.uint32)


def test_cold_users_get_what_is_trending_and_then_the_popular_list(rollout: Rollout) -> None:
    asked = [PredictRequest(user_id="nobody", k=3), PredictRequest(history=["never heard of"], k=3)]
    found = asyncio.run(Recommender(rollout, CACHE, trending=Trending()).recommend(asked))
    assert [shown(each) for each in found] == [
        (["i2", "i7", "i6"], Source.TRENDING, Reason.COLD_USER),
        (["i2", "i7", "i6"], Source.TRENDING, Reason.UNKNOWN_ITEMS),
    ]


def test_a_fault_has_the_popular_list_whatever_is_trending(rollout: Rollout) -> None:
    recommender = Recommender(rollout, FaultyCache(Reason.FEATURE_CACHE_DOWN), trending=Trending())
    (found,) = asyncio.run(recommender.recommend([PredictRequest(user_id="known", k=2)]))
    assert shown(found) == (["i7", "i6"], Source.POPULAR, Reason.FEATURE_CACHE_DOWN)


def test_what_is_trending_follows_its_changes(rollout: Rollout) -> None:
    trending = Trending()
    recommender = Recommender(rollout, CACHE, trending=trending)

    def first() -> tuple[str, Source]:
        (found,) = asyncio.run(recommender.recommend([PredictRequest(user_id="nobody", k=1)]))
        return found.items[0].item_id, found.source

    assert first() == ("i2", Source.TRENDING)
    trending.numbers = np.array([13], dtype=np.uint32)
    assert first() == ("i3", Source.TRENDING)
    trending.numbers = np.array([99], dtype=np.uint32)  # not in this catalog
    assert first() == ("i7", Source.POPULAR)


def test_anonymous_history_gets_the_model(rollout: Rollout) -> None:
    assert ask(rollout, history=["i4"]) == (["i5", "i6"], Source.MODEL, Reason.OK)


def test_empty_history_is_a_cold_user(rollout: Rollout) -> None:
    assert ask(rollout, history=[]) == (["i7", "i6"], Source.POPULAR, Reason.COLD_USER)


def test_history_wins_over_the_user(rollout: Rollout) -> None:
    assert ask(rollout, user_id="known", history=["i4"]) == (["i5", "i6"], Source.MODEL, Reason.OK)


@pytest.mark.parametrize("fields", [{"user_id": "later"}, {"history": ["never heard of"]}])
def test_history_of_unknown_items_only_gets_the_popular_list(rollout: Rollout, fields: dict) -> None:
    assert ask(rollout, **fields) == (["i7", "i6"], Source.POPULAR, Reason.UNKNOWN_ITEMS)


@pytest.mark.parametrize("fields", [{"user_id": "both"}, {"history": ["never heard of", "i0"]}])
def test_unknown_items_are_skipped_and_counted(rollout: Rollout, fields: dict) -> None:
    before = unknown_items()
    assert ask(rollout, **fields) == (["i1", "i2"], Source.MODEL, Reason.OK)
    assert unknown_items() == before + 1


def unknown_items() -> float:
    lines = telemetry.exposition().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("flyweight_unknown_items_total ")]
    return float(line.split()[1])


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith("feature_cache")])
def test_fault_of_the_cache_gets_the_popular_list_and_is_named(rollout: Rollout, reason: Reason) -> None:
    cache = FaultyCache(reason)
    assert ask(rollout, cache, user_id="known") == (["i7", "i6"], Source.POPULAR, reason)
    assert reason.degraded


def test_anonymous_history_needs_no_cache(rollout: Rollout) -> None:
    cache = FaultyCache(Reason.FEATURE_CACHE_DOWN)
    assert ask(rollout, cache, history=["i0"]) == (["i1", "i2"], Source.MODEL, Reason.OK)


def test_model_that_fails_is_bridged_and_seen_items_stay_out(rollout: Rollout) -> None:
    rollout.current = dataclasses.replace(rollout.current, predictor=BrokenPredictor())
    assert ask(rollout, history=["i7"]) == (["i6", "i5"], Source.POPULAR, Reason.MODEL_UNAVAILABLE)
    assert ask(rollout, history=[]) == (["i7", "i6"], Source.POPULAR, Reason.COLD_USER)


def test_excluded_items_stay_out_of_model_and_popular_list(rollout: Rollout) -> None:
    assert ask(rollout, history=["i0"], exclude=["i1", "no such item"])[0] == ["i2", "i3"]
    assert ask(rollout, history=[], exclude=["i7", "i5"])[0] == ["i6", "i4"]


def test_seen_overrides_the_policy_of_the_artifact(rollout: Rollout) -> None:
    assert ask(rollout, history=["i1", "i0"], k=8)[0] == ["i2", "i3", "i4", "i5", "i6", "i7"]
    assert ask(rollout, history=["i1", "i0"], k=8, seen="drop-last")[0][:2] == ["i2", "i1"]
    assert set(ask(rollout, history=["i1", "i0"], k=8, seen="keep")[0]) == {f"i{n}" for n in range(8)}
    assert ask(rollout, history=["i1", "i0"], k=3, seen="first")[0] == ["i0", "i1", "i2"]


def test_ten_items_are_the_default_and_fewer_come_only_when_fewer_remain(rollout: Rollout) -> None:
    (found,) = recommend(rollout, PredictRequest(history=["i0"]))
    assert len(found.items) == 7


def test_nothing_left_is_an_empty_list_and_no_error(rollout: Rollout) -> None:
    everything = [f"i{n}" for n in range(8)]
    assert ask(rollout, history=["i0"], exclude=everything) == ([], Source.MODEL, Reason.OK)


def test_every_asker_of_a_batch_gets_their_own_answer(rollout: Rollout) -> None:
    requests = [
        PredictRequest(user_id="nobody", k=1),
        PredictRequest(history=["i4"], k=3),
        PredictRequest(user_id="known", k=2),
        PredictRequest(history=["never heard of"], k=1),
        PredictRequest(user_id="both", k=1, exclude=["i1"]),
    ]
    together = [shown(found) for found in recommend(rollout, *requests)]
    assert together == [shown(recommend(rollout, request)[0]) for request in requests]


@pytest.mark.parametrize(
    ("cache", "source", "reason"),
    [
        (CACHE, Source.MODEL, Reason.COLD_USER),
        (FaultyCache(Reason.FEATURE_CACHE_DOWN), Source.POPULAR, Reason.FEATURE_CACHE_DOWN),
    ],
)
def test_promoted_popularity_answers_cold_users_as_the_model(
    tiny, tmp_path: Path, cache, source: Source, reason: Reason
) -> None:
    rollout = roll_out(tiny.seal(tmp_path / "artifacts", rung="popularity"))
    assert ask(rollout, cache, user_id="nobody")[1:] == (source, reason)
