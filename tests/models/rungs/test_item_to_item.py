import numpy as np
import pytest

from contracts.rung_sections import ItemToItem as Choices
from models.rungs.co_occurrence import count_pairs, nearest_neighbours
from models.rungs.item_to_item import ItemToItem, choose_settings, fit_item_to_item
from models.validating import Validation


def pairs_of(log, users=2, items=4, window=5):
    return count_pairs(log, users, items, [window])[window].toarray().tolist()


def test_pair_counts_in_the_direction_of_time(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4))
    assert pairs_of(log, items=2) == [[0, 2], [0, 0]]


def test_pairs_reach_as_far_as_the_window(interactions_of):
    log = interactions_of(*[(0, item, item) for item in range(4)])
    assert pairs_of(log, window=1) == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert pairs_of(log, window=2) == [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_items_of_one_basket_are_a_pair_both_ways(interactions_of):
    log = interactions_of((0, 0, 1, 7), (0, 1, 1, 7), (0, 2, 5, 8))
    assert pairs_of(log, items=3) == [[0, 1, 1], [1, 0, 1], [0, 0, 0]]


def test_users_and_repeats_of_an_item_make_no_pair(interactions_of):
    log = interactions_of((0, 0, 1), (0, 0, 2), (1, 1, 3))
    assert pairs_of(log, items=2) == [[0, 0], [0, 0]]


def test_pair_weighs_the_product_of_its_interactions(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2))
    log.weights[:] = [2.0, 3.0]
    assert pairs_of(log, items=2) == [[0, 6], [0, 0]]


def test_idf_puts_the_rare_companion_before_the_popular_one(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2), (0, 2, 3), *[(1, 1, 4 + i) for i in range(8)])
    weights = np.bincount(log.items).astype(float)
    pairs = count_pairs(log, 2, 3, [5])[5]
    assert nearest_neighbours(pairs, weights, 0.0, 2)[0][0].tolist() == [1, 2]  # equal: the lower index
    assert nearest_neighbours(pairs, weights, 0.5, 2)[0][0].tolist() == [2, 1]


def test_items_with_few_neighbours_are_padded_with_zero_similarity(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2))
    neighbours, similarities = nearest_neighbours(count_pairs(log, 1, 2, [1])[1], np.ones(2), 0.0, 3)
    assert neighbours.tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert similarities.tolist() == [[2, 0, 0], [0, 0, 0]]  # two interactions share two in total


@pytest.fixture
def model() -> ItemToItem:
    neighbours = np.array([[1, 2], [2, -1], [0, -1], [-1, -1]], dtype=np.int32)
    similarities = np.array([[0.5, 0.25], [1.0, 0], [2.0, 0], [0, 0]], dtype=np.float32)
    return ItemToItem(neighbours, similarities, 0.5, np.array([1, 0.5, 0.25, 0.125], np.float32), 1e-6)


def test_older_items_vote_with_decayed_weight(model):
    scores = model.scores(np.array([[-1, 1, 0]], dtype=np.int32))[0]
    np.testing.assert_allclose(scores, [0, 0.5, 0.25 + 0.5 * 1.0, 0], atol=2e-6)


def test_item_that_stands_twice_votes_twice(model):
    scores = model.scores(np.array([[2, 2]], dtype=np.int32))[0]
    assert scores[0] == pytest.approx(2.0 + 0.5 * 2.0, abs=1e-5)


def test_empty_history_gets_the_popular_order(model):
    scores = model.scores(np.full((1, 3), -1, dtype=np.int32))[0]
    assert np.argsort(-scores).tolist() == [0, 1, 2, 3]


def test_items_without_similarity_follow_in_popular_order(model):
    scores = model.scores(np.array([[-1, -1, 1]], dtype=np.int32))[0]
    assert np.argsort(-scores).tolist() == [2, 0, 1, 3]


def test_arrays_give_the_same_model_back(model):
    history = np.array([[0, 1, 2], [-1, -1, 3]], dtype=np.int32)
    again = ItemToItem.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(again.scores(history), model.scores(history))


def test_tie_breaker_never_overturns_a_similarity(interactions_of):
    rows = [(0, 0, 1), (0, 1, 2), *[(1, 2, 3 + i) for i in range(50)]]
    popularity = np.array([0.02, 0.02, 1.0], dtype=np.float32)
    chosen = {"window": 5, "idf": 0.0, "decay": 1.0, "popularity": 0.0, "neighbours": 10}
    model = fit_item_to_item(interactions_of(*rows), 2, popularity, Choices(), chosen)
    scores = model.scores(np.array([[0]], dtype=np.int32))[0]
    assert np.argsort(-scores).tolist() == [1, 2, 0]


def test_search_finds_the_window_in_which_the_answer_lies(interactions_of):
    """The companion always comes third after an item, and noise stands between."""
    random = np.random.default_rng(0)
    rows, time = [], 0
    for user in range(60):
        for item in (0, 2 + random.integers(40), 2 + random.integers(40), 1):
            rows.append((user, int(item), time := time + 1))
    validation = Validation([np.array([0])] * 3, [1] * 3, items=42, max_history=5)
    choices = Choices(windows=(1, 3), idf=(0.0,), decays=(0.5,), popularity=(0.0,))
    popularity = np.zeros(42, dtype=np.float32)
    chosen = choose_settings(interactions_of(*rows), 60, popularity, choices, validation)
    assert chosen == {"window": 3, "idf": 0.0, "decay": 0.5, "popularity": 0.0, "neighbours": 10}


def test_fewest_neighbours_that_are_good_enough_are_kept(interactions_of):
    """Item 0 is followed by item 9 rarely, by seven others often; whoever is asked wants item 9."""
    log = interactions_of(*[row for u in range(60) for row in ((u, 0, 2 * u), (u, 1 + u % 7, 2 * u + 1))])
    rare = interactions_of(
        *[row for u in range(64) for row in ((u, 0, 2 * u), (u, 9 if u > 59 else 1 + u % 7, 2 * u + 1))]
    )
    popularity = np.zeros(12, dtype=np.float32)
    options = {"windows": (1,), "idf": (0.0,), "decays": (1.0,), "popularity": (0.0,)}
    wants_the_rare = Validation([np.array([0])] * 9, [9] * 9, 12, max_history=2)
    wants_the_first = Validation([np.array([0])] * 9, [1] * 9, 12, max_history=2)
    choices = Choices(neighbours=(2, 5, 8), **options)
    assert choose_settings(rare, 64, popularity, choices, wants_the_rare)["neighbours"] == 8
    assert choose_settings(log, 60, popularity, choices, wants_the_first)["neighbours"] == 2
