"""Right under concurrency: whatever shares a batch, arrives in whatever order and fails meanwhile, every request
gets the answer to its own question."""

import asyncio
import random
from collections import Counter

import numpy as np
import pytest

from contracts.artifact import Artifact
from contracts.encoding import Catalog
from contracts.pointer import move_pointer
from contracts.reasons import Reason, Source
from contracts.sections import Paths
from service.batching import Batcher
from service.feature_cache import InMemoryFeatureCache
from service.prediction import PredictRequest
from service.recommender import Recommendation, Recommender
from service.rollout import Rollout

ANSWERS, AT_ONCE, QUESTIONS = 100_000, 200, 2_000
ABSOLUTE = 1e-4


class MoodyCache:
    """A feature cache that takes its time, and fails as a whole now and then."""

    def __init__(self, cache: InMemoryFeatureCache, luck: random.Random, faulty: float) -> None:
        self._cache, self._luck, self._faulty = cache, luck, faulty

    async def read(self, user_ids: list[str]) -> list:
        for _ in range(self._luck.randrange(4)):
            await asyncio.sleep(0)
        if self._luck.random() < self._faulty:
            return [Reason.FEATURE_CACHE_TIMEOUT] * len(user_ids)
        return await self._cache.read(user_ids)


class MoodyPredictor:
    """A predictor that fails now and then."""

    def __init__(self, predictor, luck: random.Random, faulty: float) -> None:
        self._predictor, self._luck, self._faulty = predictor, luck, faulty
        self.max_history, self.room = predictor.max_history, predictor.room

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple:
        if self._luck.random() < self._faulty:
            raise RuntimeError("the engine gave up")
        return self._predictor.predict(history, excluded, k)


@pytest.fixture(scope="module")
def served(exported) -> Artifact:
    return exported.artifact("sasrec")


def roll_out(artifact: Artifact) -> Rollout:
    artifacts = artifact.path.parent
    move_pointer(artifacts, artifact.path)
    rollout = Rollout(Paths(artifacts=artifacts, bundle=artifacts / "none"), check_ms=1000)
    rollout.boot()
    return rollout


def histories_of(catalog: Catalog, luck: np.random.Generator) -> dict[str, np.ndarray]:
    """300 users with up to 70 items, some of them none that the catalog holds."""
    known = np.append(catalog.item_numbers, [90_000, 90_001])
    return {f"u{user}": luck.choice(known, luck.integers(1, 70)) for user in range(300)}


def random_questions(catalog: Catalog, luck: random.Random) -> list[PredictRequest]:
    """Of every kind: known, cold and anonymous; with and without exclusions; each policy; every k."""
    questions = []
    for _ in range(QUESTIONS):
        request = PredictRequest(k=luck.choice([1, 3, 10, 40]))
        if luck.random() < 0.7:
            request.user_id = f"u{luck.randrange(330)}"
        else:
            request.history = luck.choices([*catalog.item_ids, "unheard-of"], k=luck.randrange(0, 60))
        if luck.random() < 0.3:
            request.exclude = luck.sample(list(catalog.item_ids), k=luck.randrange(1, 10))
        if luck.random() < 0.3:
            request.seen = luck.choice(["mask", "keep", "drop-last", "first"])
        questions.append(request)
    return questions


async def ask_one_at_a_time(recommender: Recommender, questions: list[PredictRequest]) -> list[Recommendation]:
    return [(await recommender.recommend([question]))[0] for question in questions]


async def ask_at_once(recommender: Recommender, questions: list, luck: random.Random) -> list:
    """(number of the question, its answer), `ANSWERS` in all, `AT_ONCE` askers who pause as they like."""
    batcher = Batcher(recommender.recommend, max_batch=64, max_in_flight=AT_ONCE)
    answers = []

    async def keep_asking() -> None:
        for _ in range(ANSWERS // AT_ONCE):
            number = luck.randrange(len(questions))
            for _ in range(luck.randrange(3)):
                await asyncio.sleep(0)
            answers.append((number, await batcher.ask(questions[number])))

    batcher.start()
    await asyncio.gather(*(keep_asking() for _ in range(AT_ONCE)))
    await batcher.stop()
    return answers


def assert_same(found: Recommendation, expected: Recommendation) -> None:
    """The same items in the same order, up to ties within tolerance, with the same scores within tolerance."""
    assert (found.source, found.reason) == (expected.source, expected.reason)
    scores = {item.item_id: item.score for item in expected.items}
    assert [item.score for item in found.items] == pytest.approx([i.score for i in expected.items], abs=ABSOLUTE)
    last = expected.items[-1].score if expected.items else 0.0
    for item in found.items:
        assert item.score == pytest.approx(scores.get(item.item_id, last), abs=ABSOLUTE)


@pytest.mark.parametrize("faulty", [0.0, 0.1], ids=["all well", "cache and model fail"])
def test_a_hundred_thousand_concurrent_answers_are_those_given_one_at_a_time(
    served: Artifact, faulty: float
) -> None:
    rollout, luck = roll_out(served), random.Random(7)
    catalog = rollout.current.catalog
    cache = InMemoryFeatureCache(histories_of(catalog, np.random.default_rng(7)))
    questions = random_questions(catalog, luck)
    expected = asyncio.run(ask_one_at_a_time(Recommender(rollout, cache), questions))
    without_cache = MoodyCache(cache, luck, faulty=1.0)
    by_popularity = asyncio.run(ask_one_at_a_time(Recommender(rollout, without_cache), questions))

    moody = Recommender(rollout, MoodyCache(cache, luck, faulty))
    object.__setattr__(rollout.current, "predictor", MoodyPredictor(rollout.current.predictor, luck, faulty))
    answers = asyncio.run(asyncio.wait_for(ask_at_once(moody, questions, luck), 120))

    assert len(answers) == ANSWERS
    reasons = Counter(found.reason for _, found in answers)
    assert (reasons[Reason.FEATURE_CACHE_TIMEOUT] > 0) == (reasons[Reason.MODEL_UNAVAILABLE] > 0) == (faulty > 0)
    for number, found in answers:
        if found.reason.degraded:
            assert found.source is Source.POPULAR
            if found.reason is Reason.FEATURE_CACHE_TIMEOUT:
                assert_same(found, by_popularity[number])
        else:
            assert_same(found, expected[number])
