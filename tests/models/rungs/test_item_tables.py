import numpy as np
import torch

from models.rungs import item_tables
from models.rungs.factors import item_factors
from models.rungs.item_tables import FullTable, coded_table, jpq_refusal, quantised_table

FACTORS = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)


def test_table_starts_near_the_factors_it_is_coded_from():
    """Twelve groups of equal items, and as many centroids: nothing is lost but the scale and the rotation."""
    groups = np.random.default_rng(1).standard_normal((12, 8)).astype(np.float32)
    factors = np.repeat(groups, 5, axis=0)
    rows = coded_table(factors, 4, centroids=40, seed=0).rows().detach().numpy()[:60]
    likeness, expected = rows @ rows.T, factors @ factors.T
    assert np.corrcoef(likeness.ravel(), expected.ravel())[0, 1] > 0.95


def test_items_that_the_factorisation_does_not_know_are_told_apart():
    factors = np.concatenate([FACTORS, np.zeros((60, 8), np.float32)])
    table = coded_table(factors, 4, centroids=64, seed=0)
    codes = table.codes.numpy()
    assert not set(codes[:50, 0]) & set(codes[50:110, 0])
    assert len(np.unique(codes[50:110], axis=0)) > 30
    unknown, known = table.rows().detach()[50:110], table.rows().detach()[:50]
    assert unknown.std() < 0.3 * known.std()


def test_log_that_has_no_factors_at_all_gets_codes_too():
    codes = coded_table(np.zeros((30, 8), np.float32), 4, centroids=64, seed=0).codes
    assert len(np.unique(codes.numpy()[:30], axis=0)) > 10


def test_codes_are_the_same_twice():
    one, two = (coded_table(FACTORS, 4, centroids=5, seed=3) for _ in range(2))
    assert torch.equal(one.codes, two.codes) and torch.equal(one.centroids, two.centroids)


def test_vector_of_an_item_is_made_of_its_centroids():
    table = coded_table(FACTORS, 4, centroids=5, seed=0)
    expected = torch.cat([table.centroids[place, table.codes[7, place]] for place in range(4)])
    torch.testing.assert_close(table(torch.tensor([7]))[0], expected)
    torch.testing.assert_close(table.rows()[7], expected)


def test_scores_are_products_with_the_vectors_and_the_bias():
    table, states = coded_table(FACTORS, 4, centroids=5, seed=0), torch.randn(3, 8)
    bias = torch.randn(51)
    torch.testing.assert_close(table.scores(states, bias), states @ table.rows().T + bias)


def test_table_of_fewer_items_than_centroids_gives_each_its_own():
    codes = coded_table(FACTORS[:6], 4, centroids=256, seed=0).codes.numpy()[:6]
    assert all(len(np.unique(codes[:, place])) == 6 for place in range(4))


def test_both_tables_have_a_row_for_padding():
    assert len(FullTable(50, 8).rows()) == len(coded_table(FACTORS, 4, 5, 0).rows()) == 51


def test_items_taken_together_are_near_in_the_factors(interactions_of):
    """Two groups of items, never taken together."""
    rows = [
        (user, (user % 2) * 10 + (user * 3 + step) % 10, 100 * user + step)
        for user in range(60)
        for step in range(6)
    ]
    factors = item_factors(interactions_of(*rows), 60, 20, 4, seed=0)
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert likeness[:10, :10].mean() > 0.3 > 0.05 > abs(likeness[:10, 10:].mean())


def test_factors_are_the_same_twice(interactions_of):
    log = interactions_of(
        *[(user, (user * step) % 17, 10 * user + step) for user in range(30) for step in range(1, 6)]
    )
    np.testing.assert_array_equal(item_factors(log, 30, 17, 4, seed=0), item_factors(log, 30, 17, 4, seed=0))


def test_log_without_pairs_has_factors_of_zero(interactions_of):
    log = interactions_of(*[(user, user % 5, user) for user in range(10)])
    assert not item_factors(log, 10, 5, 3, seed=0).any()


def test_log_of_few_pairs_gives_the_same_factors_every_time(interactions_of):
    """Fewer independent pairs than dimensions: the rest must not be filled by chance."""
    rows = [(step % 9, (step * 37) % 90, step) for step in range(30)]
    log = interactions_of(*rows)
    factors = [item_factors(log, 9, 90, 64, seed=1) for _ in range(4)]
    assert factors[0].any()
    for other in factors[1:]:
        np.testing.assert_array_equal(other, factors[0])


def test_codebooks_that_do_not_divide_the_vector_are_refused_with_both_numbers():
    assert jpq_refusal(64, 8) is None
    assert "codebooks = 48; expected a divisor of [sasrec] dimension = 64" in jpq_refusal(64, 48)


def test_rows_of_some_items_are_those_of_the_whole_table():
    asked = torch.tensor([7, 0, 50])
    for table in (coded_table(FACTORS, 4, centroids=5, seed=0), FullTable(50, 8)):
        assert torch.equal(table.rows_of(asked), table.rows()[asked])


def test_rows_made_once_give_the_same_scores_and_are_let_go_of():
    table, states, bias = coded_table(FACTORS, 4, centroids=5, seed=0), torch.randn(3, 8), torch.randn(51)
    before = table.scores(states, bias)
    with table.made_once():
        assert torch.equal(table.scores(states, bias), before)
    with torch.no_grad():
        table.centroids.mul_(2)
    torch.testing.assert_close(table.scores(states, bias) - bias, 2 * (before - bias))


def test_of_many_vectors_all_are_coded_and_some_are_clustered(monkeypatch):
    """Twelve groups of equal items: whatever is drawn, equal items get equal codes, others other ones."""
    monkeypatch.setattr(item_tables, "_CLUSTERED", 40)
    factors = np.repeat(np.random.default_rng(1).standard_normal((12, 8)).astype(np.float32), 20, axis=0)
    codes = coded_table(factors, 2, centroids=30, seed=0).codes.numpy()[:240].reshape(12, 20, 2)
    assert (codes == codes[:, :1]).all() and len(np.unique(codes[:, 0], axis=0)) == 12


def test_quantised_table_is_near_the_vectors_it_is_made_of():
    vectors = np.repeat(np.random.default_rng(1).standard_normal((6, 8)).astype(np.float32), 5, axis=0)
    table = quantised_table(vectors, 2, centroids=25, seed=0)
    np.testing.assert_allclose(table.rows().detach().numpy(), vectors, atol=1e-5)
    assert table.codes.shape == (30, 2)
