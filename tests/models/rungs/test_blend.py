import numpy as np
import pytest
import torch

from contracts.rung_sections import Blend as Choices
from models.rungs.blend import Blend, choose_share
from models.rungs.item_tables import FullTable
from models.rungs.item_to_item import ItemToItem
from models.rungs.sasrec import Sasrec
from models.validating import Validation

ITEMS = 12
HISTORY = np.array([[-1, -1, 3, 5], [-1, -1, -1, -1]], dtype=np.int32)


@pytest.fixture
def network() -> Sasrec:
    torch.manual_seed(0)
    return Sasrec(FullTable(ITEMS, 8), ITEMS, max_history=4, dimension=8, layers=1, heads=1).eval()


@pytest.fixture
def neighbours() -> ItemToItem:
    """Item i is followed by item i + 1, and by nothing else."""
    near = ((np.arange(ITEMS) + 1) % ITEMS).astype(np.int32)[:, None]
    popularity = np.linspace(1, 0.1, ITEMS, dtype=np.float32)
    return ItemToItem(near, np.ones((ITEMS, 1), np.float32), 0.5, popularity, 1e-6)


def test_score_is_the_log_of_probability_plus_weighted_votes(network, neighbours):
    logits = network.scores_and_padding(HISTORY)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.log(probabilities[:, :ITEMS] + 0.3 * neighbours.scores(HISTORY))
    np.testing.assert_allclose(Blend(network, neighbours, 0.3).scores(HISTORY), expected, rtol=1e-5)


def test_share_of_nothing_ranks_as_the_network_alone(network, neighbours):
    ours = np.argsort(-Blend(network, neighbours, 0.0).scores(HISTORY), axis=1)
    np.testing.assert_array_equal(ours, np.argsort(-network.scores(HISTORY), axis=1))


def test_share_is_chosen_by_what_came_next(network, neighbours):
    choices = Choices(neighbours=(0.0, 1.0))
    asked = [np.array([i]) for i in range(ITEMS - 1)]
    followed = Validation(asked, range(1, ITEMS), ITEMS, max_history=4)
    assert choose_share(network, neighbours, choices, followed) == 1.0
    best_alone = network.scores(followed.encoded).argmax(axis=1)
    as_the_network_says = Validation(asked, best_alone.tolist(), ITEMS, max_history=4)
    assert choose_share(network, neighbours, choices, as_the_network_says) == 0.0


def test_arrays_give_the_same_blend_back(network, neighbours):
    blend = Blend(network, neighbours, 0.3)
    again = Blend.from_arrays(blend.to_arrays())
    np.testing.assert_allclose(again.scores(HISTORY), blend.scores(HISTORY), rtol=1e-6)


def test_item_that_nobody_names_has_a_finite_score(network, neighbours):
    network.mix_in_popularity(np.eye(ITEMS, dtype=np.float32)[3], share=1.0)
    with torch.no_grad():
        network.item_bias[5] = -1e4
    assert np.isfinite(Blend(network, neighbours, 1.0).scores(HISTORY)).all()
