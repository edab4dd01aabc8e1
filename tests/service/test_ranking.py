import random

import numpy as np
import pytest
from msgspec.structs import replace

from contracts.artifact import Artifact
from contracts.encoding import REPEAT_POLICIES
from contracts.sections import Settings
from export.exporting import export_untrained
from service.popular import PopularList
from service.predictor import OnnxPredictor
from service.ranking import Query, Ranking, rank


@pytest.fixture
def predictor(artifact: Artifact) -> OnnxPredictor:
    return OnnxPredictor(artifact)


def reference(query: Query) -> list[int]:
    """The same answer, one at a time and without a graph: items in the order they must come."""
    scores = {item: 0.0 for item in range(8)}
    for seen in query.history[-4:]:
        for step in range(1, 8):
            scores[(seen + step) % 8] += 2.0**-step
    order = sorted(scores, key=lambda item: (-scores[item], item))
    hidden = {"mask": query.history, "first": query.history, "drop-last": query.history[-1:], "keep": []}
    answer = [item for item in order if item not in hidden[query.policy] and item not in query.excluded]
    if query.policy == "first":
        newest_first = list(dict.fromkeys(reversed(query.history)))
        front = sorted(newest_first, key=query.history.count, reverse=True)
        answer = [item for item in front if item not in query.excluded] + answer
    return answer[: query.k]


def random_query(dice: random.Random) -> Query:
    history = [dice.randrange(8) for _ in range(dice.randrange(7))]
    excluded = dice.sample(range(8), dice.randrange(9))
    return Query(history, dice.randint(1, 10), excluded, dice.choice(REPEAT_POLICIES))


@pytest.mark.parametrize("seed", range(20))
def test_batch_mates_never_change_an_answer_and_none_is_short(predictor: OnnxPredictor, seed: int) -> None:
    dice = random.Random(seed)
    queries = [random_query(dice) for _ in range(dice.randint(1, 40))]
    rankings = rank(predictor, queries)
    assert [ranking.items for ranking in rankings] == [reference(query) for query in queries]


@pytest.mark.parametrize("seed", range(5))
def test_scores_go_down(predictor: OnnxPredictor, seed: int) -> None:
    dice = random.Random(seed)
    for ranking in rank(predictor, [random_query(dice) for _ in range(40)]):
        assert ranking.scores == sorted(ranking.scores, reverse=True)
        assert len(ranking.scores) == len(ranking.items)


def test_repeats_in_front_score_above_the_best_of_the_model(predictor: OnnxPredictor) -> None:
    (ranking,) = rank(predictor, [Query([0, 0, 5], 3, policy="first")])
    best = 1 / 2 + 1 / 2 + 1 / 16  # i1: the next after i0, which counts twice, the fourth after i5
    assert ranking == Ranking([0, 5, 1], [best + 2, best + 1, best])


def test_nothing_left_gives_an_empty_ranking(predictor: OnnxPredictor) -> None:
    assert rank(predictor, [Query([], 3, range(8))]) == [Ranking([], [])]


def test_no_query_gives_no_ranking(predictor: OnnxPredictor) -> None:
    assert rank(predictor, []) == []


@pytest.mark.parametrize("seed", range(5))
def test_popular_list_is_ranked_like_a_model(seed: int) -> None:
    dice = random.Random(seed)
    order = [7, 6, 5, 4, 3, 2, 1, 0]
    queries = [Query(q.history, q.k, q.excluded, "mask") for q in (random_query(dice) for _ in range(40))]
    left = [[item for item in order if item not in {*q.history, *q.excluded}][: q.k] for q in queries]
    rankings = rank(PopularList(np.array(order)), queries)
    assert [ranking.items for ranking in rankings] == left


class Noting:
    """Answers with items 0, 1, 2 and so on, and notes of every call its rows, the widest exclusion and k."""

    max_history, room = 4, 100

    def __init__(self) -> None:
        self.calls: list[tuple[list[int], int, int]] = []

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.calls.append((history[:, -1].tolist(), excluded.shape[1], k))
        items = np.tile(np.arange(k), (len(history), 1))
        return items, -items.astype(np.float32)


def asked(who: int, k: int, excluded: int = 0) -> Query:
    return Query([who], k, range(1000, 1000 + excluded), "keep")


@pytest.mark.parametrize(
    ("queries", "calls"),
    [
        ([asked(1, 60), asked(2, 10, 40)], [([1, 2], 40, 60)]),  # the widest of both still fits
        ([asked(1, 200)], [([1], 0, 200)]),
        ([asked(1, 10), asked(2, 101), asked(3, 20)], [([2], 0, 101), ([1, 3], 0, 20)]),
        ([asked(1, 10), asked(2, 10, 91), asked(3, 20)], [([2], 91, 10), ([1, 3], 0, 20)]),
        ([asked(1, 60), asked(2, 10, 41)], [([1], 0, 60), ([2], 41, 10)]),  # each fits, both together do not
        ([asked(1, 60), asked(2, 10, 60)], [([1], 0, 60), ([2], 60, 10)]),
    ],
)
def test_who_asks_for_more_than_the_room_is_asked_alone_and_the_others_together(queries, calls) -> None:
    predictor = Noting()
    rankings = rank(predictor, queries)
    assert predictor.calls == calls
    assert [ranking.items for ranking in rankings] == [list(range(query.k)) for query in queries]


SEARCHED = 3000
"""Items of a catalog that blocks search, three times the room."""


@pytest.fixture(scope="module")
def searching(tmp_path_factory: pytest.TempPathFactory) -> OnnxPredictor:
    """A sealed ivf that looks at few of its blocks: little recall is asked of it."""
    settings = Settings()
    settings = replace(
        settings,
        paths=replace(settings.paths, artifacts=tmp_path_factory.mktemp("artifacts")),
        export=replace(settings.export, recall=0.05),
    )
    return OnnxPredictor(export_untrained("mean", SEARCHED, settings, variant="ivf"))


def searching_query(dice: random.Random, widest: int) -> Query:
    history = [dice.randrange(SEARCHED) for _ in range(dice.randrange(7))]
    excluded = dice.sample(range(SEARCHED), dice.choice([0, 5, dice.randrange(widest)]))
    return Query(history, dice.choice([1, 10, dice.randint(1, widest)]), excluded, dice.choice(REPEAT_POLICIES))


@pytest.mark.parametrize("seed", range(8))
def test_batch_mates_never_change_an_answer_that_a_part_of_the_catalog_gave(searching, seed: int) -> None:
    dice = random.Random(seed)
    queries = [searching_query(dice, widest=SEARCHED // 2) for _ in range(20)]
    alone = [rank(searching, [query])[0].items for query in queries]
    assert [ranking.items for ranking in rank(searching, queries)] == alone
    assert [len(items) for items in alone] == [query.k for query in queries]


def test_without_a_room_batch_mates_would_change_answers(searching, monkeypatch) -> None:
    dice = random.Random(1)
    queries = [searching_query(dice, widest=SEARCHED // 2) for _ in range(20)]
    alone = [rank(searching, [query])[0].items for query in queries]
    monkeypatch.setattr(searching, "room", None)
    assert [ranking.items for ranking in rank(searching, queries)] != alone
