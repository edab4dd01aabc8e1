import numpy as np
import pytest

from models.rungs.popularity import MILLISECONDS_PER_DAY as DAY
from models.rungs.popularity import Popularity, choose_half_life, decayed_weights
from models.validating import Validation


def test_weight_halves_with_every_half_life_of_age(interactions_of):
    log = interactions_of((0, 0, 0), (0, 1, 7 * DAY), (1, 1, 14 * DAY), (1, 2, 14 * DAY))
    weights = decayed_weights(log, items=4, half_life_days=7.0, has_clock=True)
    sums = np.array([0.5**2, 0.5**1 + 1, 1, 0])
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, sums / 1.5, rtol=1e-6)


def test_interaction_with_a_weight_counts_that_much(interactions_of):
    log = interactions_of((0, 0, 0), (0, 1, 0), (0, 1, 0))
    log.weights[0] = 4.0
    np.testing.assert_allclose(decayed_weights(log, 2, 7.0, has_clock=True), [1.0, 2 / 4])


def test_order_without_a_clock_decays_over_ninety_days_in_all(interactions_of):
    log = interactions_of((0, 0, 0), (0, 1, 45), (0, 2, 90))
    weights = decayed_weights(log, 3, half_life_days=45.0, has_clock=False)
    np.testing.assert_allclose(weights, [0.5**2, 0.5, 1])


def test_log_of_one_moment_decays_nothing(interactions_of):
    log = interactions_of((0, 0, 5), (1, 0, 5), (1, 1, 5))
    np.testing.assert_allclose(decayed_weights(log, 2, 1.0, has_clock=False), [1.0, 0.5])


@pytest.mark.parametrize(("fashion", "expected"), [(True, 1.0), (False, 365.0)])
def test_half_life_is_short_where_fashions_pass_and_long_where_they_do_not(interactions_of, fashion, expected):
    old_hits = [(user, 0, 0) for user in range(20)]
    new_hits = [(user, 1, 30 * DAY) for user in range(20, 25)]
    log = interactions_of(*old_hits, *new_hits)
    asked = [np.array([2])] * 5
    validation = Validation(asked, [1 if fashion else 0] * 5, items=3, max_history=4)
    assert choose_half_life(log, 3, (1.0, 365.0), True, validation) == expected


def test_every_history_gets_the_same_scores():
    model = Popularity(np.array([0.5, 1.0], dtype=np.float32))
    scores = model.scores(np.array([[-1, -1], [0, 1]], dtype=np.int32))
    assert scores.tolist() == [[0.5, 1.0], [0.5, 1.0]]
    assert Popularity.from_arrays(model.to_arrays()).scores(np.zeros((1, 2), np.int32)).tolist() == [[0.5, 1.0]]
