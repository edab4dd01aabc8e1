import inspect
import warnings

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from scipy import sparse
from tastes import ITEMS, POPULARITY, USERS, ndcg, tastes
from threadpoolctl import threadpool_limits

from contracts.rung_sections import Ials as Choices
from models.rungs import ials
from models.rungs.ials import Ials, choose_settings, fit_ials, ials_refusal
from models.validating import Validation

CHOICES = Choices(factors=8, iterations=8)
CHOSEN = {"regularization": 1.0, "alpha": 10.0, "decay": 1.0, "popularity": 0.0}


def exact_scores(model: Ials, history: np.ndarray) -> np.ndarray:
    """float64 [batch, items], the system solved and not approached."""
    rows = model.item_table[history].astype(np.float64)
    weights = model.recency(history.shape[1]).astype(np.float64)
    system = np.eye(rows.shape[2]) + model.alpha * np.einsum("l,bld,ble->bde", weights, rows, rows)
    right = (1 + model.alpha) * np.einsum("l,bld->bd", weights, rows)
    users = np.linalg.solve(system, right[:, :, None])[:, :, 0]
    return users @ model.item_table[:-1].T + model.share * model.popularity


@pytest.mark.parametrize(("alpha", "decay", "left"), [(10.0, 1.0, 0.01), (100.0, 1.0, 0.05), (30.0, 0.6, 0.005)])
def test_the_fixed_steps_reach_the_exact_solution_on_full_histories(interactions_of, alpha, decay, left):
    """64 factors and histories of 50, as they are served; what is left is small beside scores of about 1."""
    random = np.random.default_rng(5)
    homes, likes = random.normal(size=(800, 12)), random.normal(size=(500, 12))
    rows = [(user, int(i), 1) for user in range(500) for i in np.argsort(-(homes @ likes[user]))[:50]]
    popularity = np.zeros(800, dtype=np.float32)
    chosen = {"regularization": 10.0, "alpha": alpha, "decay": decay, "popularity": 0.0}
    model = fit_ials(interactions_of(*rows), 500, popularity, Choices(), chosen)
    history = np.array([item for _, item, _ in rows], dtype=np.int32).reshape(500, 50)[:100]
    history = random.permuted(history, axis=1)
    found, exact = model.scores(history), exact_scores(model, history)
    assert exact.max() > 0.5
    assert np.abs(found - exact).max() < left
    best, nearly_best = (np.argsort(-scores, axis=1, kind="stable")[:, :10] for scores in (exact, found))
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(best, nearly_best, strict=True)]
    assert np.mean(shared) > 0.98


def test_without_decay_a_user_is_folded_in_as_the_library_does_it(log_of):
    log = log_of(tastes(seed=1, has_taste=True))
    ours = fit_ials(log, USERS, POPULARITY, CHOICES, CHOSEN, seed=3)
    confidence = sparse.csr_matrix((1 + CHOSEN["alpha"] * log.weights, (log.users, log.items)), (USERS, ITEMS))
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(8, 1.0, alpha=1.0, iterations=8, num_threads=1, random_state=3)
        theirs.fit(confidence, show_progress=False)
        users = theirs.recalculate_user(np.arange(USERS), confidence)
    history = tastes(seed=1, has_taste=True).astype(np.int32)
    expected = users @ theirs.item_factors.T + ours.share * POPULARITY
    np.testing.assert_allclose(ours.scores(history), expected, atol=1e-3)


def test_item_that_stands_twice_counts_twice_and_padding_not_at_all(log_of):
    model = fit_ials(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, CHOICES, CHOSEN)
    history = np.array([[-1, -1, 3, 9, 3], [-1, -1, -1, 3, 9]], dtype=np.int32)
    found = model.scores(history)
    np.testing.assert_allclose(found, exact_scores(model, history), atol=1e-4)
    np.testing.assert_allclose(found, model.scores(history[:, 2:]), atol=1e-5)
    assert found[0, 3] > found[1, 3]


def test_what_decay_leaves_nothing_of_changes_nothing(log_of):
    model = fit_ials(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, CHOICES, CHOSEN | {"decay": 0.0})
    older, without = np.array([[20, 3]], dtype=np.int32), np.array([[-1, 3]], dtype=np.int32)
    np.testing.assert_array_equal(model.scores(older), model.scores(without))


def test_empty_history_gets_the_popular_order(log_of):
    model = fit_ials(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, CHOICES, CHOSEN)
    scores = model.scores(np.full((2, 3), -1, dtype=np.int32))
    assert np.argsort(-scores, axis=1, kind="stable").tolist() == [list(range(ITEMS))] * 2


def test_tastes_are_learned(log_of):
    model = fit_ials(log_of(tastes(seed=1, has_taste=True)[:, :-1]), USERS, POPULARITY, CHOICES, CHOSEN)
    assert ndcg(model, tastes(seed=2, has_taste=True)) > 0.5  # three items of the group are left to choose of


def test_nothing_is_learned_of_noise(log_of):
    model = fit_ials(log_of(tastes(seed=1, has_taste=False)[:, :-1]), USERS, POPULARITY, CHOICES, CHOSEN)
    assert ndcg(model, tastes(seed=2, has_taste=False)) < 0.25  # ten of the 27 others by chance: 0.17


def test_same_seed_gives_the_same_bytes_on_one_thread_and_on_two(log_of):
    log = log_of(tastes(seed=1, has_taste=True))
    one, same, two = (fit_ials(log, USERS, POPULARITY, CHOICES, CHOSEN, 1, threads) for threads in (1, 1, 2))
    other = fit_ials(log, USERS, POPULARITY, CHOICES, CHOSEN, seed=2, threads=1)
    assert one.item_table.tobytes() == same.item_table.tobytes() == two.item_table.tobytes()
    assert one.item_table.tobytes() != other.item_table.tobytes()


def test_arrays_give_the_same_model_back(log_of):
    model = fit_ials(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, CHOICES, CHOSEN | {"decay": 0.6})
    history = tastes(seed=2, has_taste=True).astype(np.int32)
    np.testing.assert_array_equal(Ials.from_arrays(model.to_arrays()).scores(history), model.scores(history))


def test_learning_is_silent_and_without_warnings(log_of, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_ials(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, CHOICES, CHOSEN)
    assert capfd.readouterr() == ("", "")


def test_search_finds_the_settings_that_know_the_tastes(log_of):
    """A regularization that leaves nothing of the factors stands beside one that does not."""
    asked = tastes(seed=2, has_taste=True)
    validation = Validation(list(asked[:, :-1]), asked[:, -1].tolist(), ITEMS, max_history=10)
    choices = Choices(
        factors=8, iterations=8, regularizations=(1.0, 1e6), alphas=(10.0,), decays=(1.0,), popularity=(0.0,)
    )
    chosen = choose_settings(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, choices, validation)
    assert chosen == {"regularization": 1.0, "alpha": 10.0, "decay": 1.0, "popularity": 0.0}


def test_machine_with_an_accelerator_learns_on_the_processor_all_the_same(monkeypatch):
    """The library takes an accelerator where it finds one, and then gives other numbers in other types."""
    theirs = ials.AlternatingLeastSquares
    places = list(inspect.signature(theirs).parameters)
    defaults = list(theirs.__defaults__)
    defaults[places.index("use_gpu")] = True
    monkeypatch.setattr(theirs, "__defaults__", tuple(defaults))
    learner = ials._learner(Choices(), 1.0, seed=1, threads=1)
    assert type(learner).__module__ == "implicit.cpu.als"


def test_catalog_too_large_is_refused_with_what_was_found_expected_and_the_remedy():
    assert ials_refusal(500_000, Choices()) is None
    refusal = ials_refusal(10_000_000, Choices())
    for part in ("10,000,000 items", "500,000 at most", "max-items in [ials]"):
        assert part in refusal
