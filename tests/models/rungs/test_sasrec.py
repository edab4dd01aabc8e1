import numpy as np
import pytest
import torch

from models.rungs.item_tables import FullTable, coded_table
from models.rungs.sasrec import Sasrec


def table_of(kind: str):
    factors = np.random.default_rng(1).standard_normal((20, 8)).astype(np.float32)
    return FullTable(20, 8) if kind == "full" else coded_table(factors, 2, centroids=5, seed=1)


@pytest.fixture(params=["full", "coded"])
def network(request) -> Sasrec:
    torch.manual_seed(0)
    table = table_of(request.param)
    return Sasrec(table, items=20, max_history=6, dimension=8, layers=2, heads=2, dropout=0.5).eval()


HISTORY = np.array([[-1, -1, 3, 9, 1, 4], [-1, -1, -1, -1, -1, 7]], dtype=np.int32)


def test_scores_cover_the_catalog_without_the_padding(network):
    scores = network.scores(HISTORY)
    assert scores.shape == (2, 20) and scores.dtype == np.float32
    assert network(torch.from_numpy(HISTORY)).shape == (2, 21)


def test_padding_changes_nothing(network):
    np.testing.assert_allclose(network.scores(HISTORY[:1, 2:]), network.scores(HISTORY[:1]), atol=1e-6)


def test_order_of_the_history_matters(network):
    swapped = HISTORY[:, [0, 1, 3, 2, 4, 5]]
    assert not np.allclose(network.scores(HISTORY)[0], network.scores(swapped)[0], atol=1e-5)


def test_position_does_not_see_what_comes_after_it(network):
    changed = HISTORY.copy()
    changed[0, -2:] = [12, 13]
    with torch.inference_mode():
        before, after = (network.encode(torch.from_numpy(h), last_only=False) for h in (HISTORY, changed))
    torch.testing.assert_close(before[0, 2:4], after[0, 2:4])
    assert not torch.allclose(before[0, 4], after[0, 4], atol=1e-4)


def test_asking_for_the_newest_alone_gives_the_same_state(network):
    with torch.inference_mode():
        everywhere = network.encode(torch.from_numpy(HISTORY), last_only=False)
        newest = network.encode(torch.from_numpy(HISTORY), last_only=True)
    torch.testing.assert_close(newest[:, 0], everywhere[:, -1])


def test_empty_history_has_finite_scores(network):
    assert np.isfinite(network.scores(np.full((1, 6), -1, dtype=np.int32))).all()


def test_scores_are_the_same_twice_although_dropout_is_set(network):
    network.train()
    np.testing.assert_array_equal(network.scores(HISTORY), network.scores(HISTORY))
    assert network.training


def test_arrays_give_the_same_network_back(network):
    again = Sasrec.from_arrays(network.to_arrays())
    np.testing.assert_array_equal(again.scores(HISTORY), network.scores(HISTORY))


def test_mixing_adds_a_share_of_the_popular_list_to_the_probabilities(network):
    own = torch.from_numpy(network.scores(HISTORY))
    with torch.inference_mode():  # the softmax is over the padding's column too
        probabilities = network(torch.from_numpy(HISTORY)).softmax(dim=1)[:, :20]
    popularity = np.arange(20, dtype=np.float32)
    network.mix_in_popularity(popularity, share=0.5)
    expected = probabilities + 0.5 * torch.from_numpy(popularity) / 190  # 0 + 1 + ... + 19
    torch.testing.assert_close(torch.from_numpy(network.scores(HISTORY)).exp(), expected)
    network.mix_in_popularity(popularity, share=0.0)
    torch.testing.assert_close(torch.from_numpy(network.scores(HISTORY)), own)


def test_arrays_keep_what_was_mixed_in(network):
    network.mix_in_popularity(np.eye(20, dtype=np.float32)[3], share=1.0)
    again = Sasrec.from_arrays(network.to_arrays())
    assert np.isfinite(network.scores(HISTORY)).all()
    np.testing.assert_array_equal(again.scores(HISTORY), network.scores(HISTORY))
