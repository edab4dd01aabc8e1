import random

import numpy as np
import pytest

from contracts.artifact import Artifact
from contracts.encoding import REPEAT_POLICIES
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
