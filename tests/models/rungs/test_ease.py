import numpy as np
import pytest
from tastes import ITEMS, POPULARITY, USERS, ndcg, tastes

from contracts.rung_sections import Ease as Choices
from models.rungs.ease import Ease, choose_settings, ease_refusal, fit_ease
from models.validating import Validation

CHOSEN = {"l2": 3.0, "decay": 1.0, "popularity": 0.0}
ALL_KEPT = Choices(neighbours=ITEMS)


def by_regression(taken: np.ndarray, l2: float) -> np.ndarray:
    """float64 [items, items]: column j is the ridge regression of item j on all the others, one by one."""
    met = np.zeros((USERS, ITEMS))
    met[np.arange(USERS)[:, None], taken] = np.log1p(1)
    strength = l2 * (met**2).sum(axis=0).mean()
    weights = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        others = np.delete(np.arange(ITEMS), item)
        system = met[:, others].T @ met[:, others] + strength * np.eye(ITEMS - 1)
        weights[others, item] = np.linalg.solve(system, met[:, others].T @ met[:, item])
    return weights


def test_weights_are_those_of_each_items_regression_on_all_others(log_of):
    taken = tastes(seed=1, has_taste=True)
    table = fit_ease(log_of(taken), USERS, POPULARITY, ALL_KEPT, CHOSEN).table
    expected = np.maximum(by_regression(taken, CHOSEN["l2"]), 0)
    found = np.zeros((ITEMS, ITEMS + 1))
    np.put_along_axis(found, table.neighbours.astype(np.int64), table.similarities, axis=1)  # PADDING: the last
    scale = found.sum() / expected.sum()
    np.testing.assert_allclose(found[:, :-1], scale * expected, atol=1e-5)


def test_weights_of_an_interaction_add_up_to_one_on_average(log_of):
    log = log_of(tastes(seed=1, has_taste=True))
    table = fit_ease(log, USERS, POPULARITY, ALL_KEPT, CHOSEN).table
    assert table.similarities.sum(axis=1)[log.items].mean() == pytest.approx(1, rel=1e-5)


def test_only_the_strongest_are_kept_strongest_first_and_never_the_item_itself(log_of):
    log = log_of(tastes(seed=1, has_taste=True))
    few = fit_ease(log, USERS, POPULARITY, Choices(neighbours=3), CHOSEN).table
    all_of_them = fit_ease(log, USERS, POPULARITY, ALL_KEPT, CHOSEN).table
    np.testing.assert_array_equal(few.neighbours, all_of_them.neighbours[:, :3])
    assert (np.diff(few.similarities, axis=1) <= 0).all()
    assert (all_of_them.neighbours != np.arange(ITEMS)[:, None]).all()


def test_tastes_are_learned(log_of):
    model = fit_ease(log_of(tastes(seed=1, has_taste=True)[:, :-1]), USERS, POPULARITY, Choices(), CHOSEN)
    assert ndcg(model, tastes(seed=2, has_taste=True)) > 0.5  # three items of the group are left to choose of


def test_nothing_is_learned_of_noise(log_of):
    model = fit_ease(log_of(tastes(seed=1, has_taste=False)[:, :-1]), USERS, POPULARITY, Choices(), CHOSEN)
    assert ndcg(model, tastes(seed=2, has_taste=False)) < 0.25  # ten of the 27 others by chance: 0.17


def test_empty_history_gets_the_popular_order(log_of):
    model = fit_ease(log_of(tastes(seed=1, has_taste=True)), USERS, POPULARITY, Choices(), CHOSEN)
    scores = model.scores(np.full((1, 3), -1, dtype=np.int32))[0]
    assert np.argsort(-scores, kind="stable").tolist() == list(range(ITEMS))


def test_same_interactions_give_the_same_bytes_and_arrays_the_same_model(log_of):
    log = log_of(tastes(seed=1, has_taste=True))
    one, other = (fit_ease(log, USERS, POPULARITY, Choices(), CHOSEN).to_arrays() for _ in range(2))
    assert {name: array.tobytes() for name, array in one.items()} == {n: a.tobytes() for n, a in other.items()}
    history = tastes(seed=2, has_taste=True).astype(np.int32)
    again = Ease.from_arrays(one)
    expected = fit_ease(log, USERS, POPULARITY, Choices(), CHOSEN).scores(history)
    np.testing.assert_array_equal(again.scores(history), expected)


def test_search_sees_that_only_the_newest_item_tells_the_next(interactions_of):
    """Item 2n is followed by 2n + 1; users take pairs at random, so what came before a pair tells nothing."""
    random, rows = np.random.default_rng(0), []
    for user in range(120):
        pairs = random.choice(20, 4, replace=False)
        rows += [
            (user, int(2 * pair + half), 2 * place + half) for place, pair in enumerate(pairs) for half in (0, 1)
        ]
    firsts = [random.choice(20, 6, replace=False) * 2 for _ in range(60)]
    validation = Validation(firsts, [int(row[-1] + 1) for row in firsts], items=40, max_history=10)
    choices = Choices(l2=(0.3, 30.0), decays=(0.3, 1.0), popularity=(0.0,))
    log, popularity = interactions_of(*sorted(rows, key=lambda row: row[2])), np.zeros(40, dtype=np.float32)
    chosen = choose_settings(log, 120, popularity, choices, validation)
    assert chosen["decay"] == 0.3
    assert validation.ndcg_at_10(fit_ease(log, 120, popularity, choices, chosen).scores) > 0.9


def test_catalog_too_large_is_refused_with_what_was_found_expected_and_the_remedy():
    assert ease_refusal(6000, Choices()) is None
    refusal = ease_refusal(11_240, Choices())
    for part in ("11,240 items", "6,000 at most", "max-items in [ease]"):
        assert part in refusal
