import numpy as np
import pytest

from models import validating
from models.listing import Listing, add_up, asked
from models.rungs.item_to_item import ItemToItem
from models.rungs.popularity import Popularity
from models.rungs.vmis_knn import VmisKnn
from models.validating import Validation

ITEMS, LENGTH = 60, 6


def popularity(random) -> np.ndarray:
    """With many ties, as rare items have them."""
    return (random.integers(0, 5, ITEMS) / 4).astype(np.float32)


def item_to_item(random, share) -> ItemToItem:
    neighbours = random.integers(-1, ITEMS, (ITEMS, 8)).astype(np.int32)
    similarities = np.where(neighbours < 0, 0, random.integers(1, 4, neighbours.shape)).astype(np.float32)
    return ItemToItem(neighbours, similarities, 0.6, popularity(random), share)


def vmis_knn(random, share) -> VmisKnn:
    postings = random.integers(-1, 30, (ITEMS, 5)).astype(np.int32)
    sessions = random.integers(-1, ITEMS, (30, 4)).astype(np.int32)
    idf = random.random(ITEMS).astype(np.float32)
    return VmisKnn((postings, sessions, idf), popularity(random), 3, 0.6, 4, share)


MODELS = {
    "popularity": lambda random: Popularity(popularity(random)),
    "item-to-item": lambda random: item_to_item(random, 1e-6),
    "item-to-item by popularity": lambda random: item_to_item(random, 3.0),
    "vmis-knn": lambda random: vmis_knn(random, 1e-6),
    "vmis-knn by popularity": lambda random: vmis_knn(random, 3.0),
}


@pytest.mark.parametrize("name", MODELS)
def test_large_catalog_is_judged_by_lists_with_the_very_figures_of_rows(name, monkeypatch):
    random = np.random.default_rng(3)
    model = MODELS[name](random)
    histories = [random.integers(0, ITEMS + 3, random.integers(0, 9)) for _ in range(400)]
    validation = Validation(histories, random.integers(0, ITEMS + 3, 400).tolist(), ITEMS, LENGTH)
    by_rows = validation.best_policy(asked(model))
    assert by_rows == validation.best_policy(model.scores)
    monkeypatch.setattr(validating, "LARGE", 1)
    monkeypatch.setattr(validating, "_LISTED_AT_ONCE", 150)
    monkeypatch.setattr(model, "scores", lambda history: pytest.fail("asked for rows"))
    assert validation.best_policy(model) == by_rows


@pytest.mark.parametrize("name", MODELS)
def test_list_holds_the_scores_of_the_row(name):
    random = np.random.default_rng(4)
    model, history = MODELS[name](random), random.integers(-1, ITEMS, (20, LENGTH)).astype(np.int32)
    history[0] = -1
    rows = np.tile(model.base, (20, 1))
    listed = model.listed(history)
    rows[listed.rows, listed.items] = listed.scores
    np.testing.assert_array_equal(rows, model.scores(history))
    places = listed.rows * ITEMS + listed.items
    assert (np.diff(places) > 0).all() and listed.scores.dtype == np.float32


def test_model_that_scores_every_item_is_asked_for_its_rows():
    class Network:
        def scores(self, history):
            return np.zeros((len(history), ITEMS), np.float32)

    network = Network()
    assert not isinstance(network, Listing) and asked(network) == network.scores


def test_votes_for_one_place_are_added_in_the_order_given():
    places, sums = add_up(np.array([7, 2, 7, 7]), np.array([1.0, 5.0, 1e16, -1e16]))
    assert places.tolist() == [2, 7] and sums.tolist() == [5.0, 0.0]
    assert [len(part) for part in add_up(np.zeros(0, dtype=np.int64), np.zeros(0))] == [0, 0]
