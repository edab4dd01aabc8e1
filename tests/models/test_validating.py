import numpy as np
import pytest

from models.validating import Validation


def scores_always(*row):
    return lambda encoded: np.tile(np.array(row, dtype=np.float32), (len(encoded), 1))


def ndcg(scores, history, target, policy="mask"):
    validation = Validation([np.array(history, dtype=int)], [target], len(scores), max_history=3)
    _, figures = validation.best_policy(scores_always(*scores))
    return figures[policy]


def test_target_at_rank_three_gains_one_over_log2_of_four():
    assert ndcg([4, 3, 2, 1], history=[], target=2) == pytest.approx(1 / np.log2(3 + 1))


def test_seen_items_make_room_for_the_target():
    assert ndcg([4, 3, 2, 1], history=[0], target=2) == pytest.approx(1 / np.log2(2 + 1))


def test_item_seen_before_the_encoded_history_begins_is_masked_too():
    assert ndcg([5, 4, 3, 2, 1], history=[0, 2, 3, 4], target=1) == 1.0


def test_target_that_was_seen_is_a_miss():
    assert ndcg([4, 3, 2, 1], history=[2], target=2) == 0.0


def test_seen_target_keeps_its_rank_where_seen_items_are_kept():
    assert ndcg([4, 3, 2, 1], history=[0, 2], target=2, policy="keep") == pytest.approx(1 / np.log2(3 + 1))


def test_only_the_newest_item_makes_room_where_the_last_is_dropped():
    assert ndcg([4, 3, 2, 1], history=[0, 1], target=2, policy="drop-last") == pytest.approx(1 / np.log2(2 + 1))
    assert ndcg([4, 3, 2, 1], history=[0, 1], target=1, policy="drop-last") == 0.0
    assert ndcg([4, 3, 2, 1], history=[], target=1, policy="drop-last") == pytest.approx(1 / np.log2(2 + 1))


def test_seen_items_in_front_stand_by_how_often_then_by_how_lately():
    history = [3, 3, 2, 1]
    assert ndcg([4, 3, 2, 1], history, target=3, policy="first") == 1.0
    assert ndcg([4, 3, 2, 1], history, target=1, policy="first") == pytest.approx(1 / np.log2(2 + 1))
    assert ndcg([4, 3, 2, 1], history, target=0, policy="first") == pytest.approx(1 / np.log2(3 + 1 + 1))


def test_models_are_tuned_under_the_policy_that_suits_the_popular_list():
    kept = Validation([np.array([2, 0])] * 9, [2] * 9, items=4, max_history=3)
    assert kept.policy == "mask"
    assert kept.best_policy(scores_always(1, 3, 4, 2))[0] == "keep"
    tuned = kept.tuned_for(scores_always(1, 3, 4, 2))
    assert tuned.policy == "keep" and tuned.ndcg_at_10(scores_always(1, 3, 4, 2)) == 1.0


def test_models_are_tuned_by_what_they_add_where_seen_items_stand_in_front():
    validation = Validation([np.array([2])] * 9, [2] * 8 + [0], items=4, max_history=3)
    assert validation.best_policy(scores_always(4, 3, 2, 1))[0] == "first"
    assert validation.tuned_for(scores_always(4, 3, 2, 1)).policy == "mask"


def test_gain_inside_its_interval_leaves_seen_items_masked():
    """One of twelve repeats: by the means alone, keeping what was seen would win."""
    validation = Validation([np.array([0])] * 12, [0] + [1] * 11, items=3, max_history=3)
    policy, figures = validation.best_policy(scores_always(2, 3, 1))
    assert figures["keep"] > figures["mask"] and policy == "mask"


def test_target_outside_the_catalog_is_a_miss():
    assert ndcg([4, 3, 2, 1], history=[0], target=4) == 0.0


def test_equal_scores_count_against_the_target():
    assert ndcg([1, 1, 1, 0], history=[], target=0) == pytest.approx(1 / np.log2(3 + 1))


def test_rank_eleven_gains_nothing():
    assert ndcg(range(12, 0, -1), history=[], target=10) == 0.0
    assert ndcg(range(12, 0, -1), history=[], target=9) == pytest.approx(1 / np.log2(10 + 1))


def test_history_is_encoded_without_items_outside_the_catalog():
    asked = []
    validation = Validation([np.array([1, 9, 0, 7])], [2], items=3, max_history=3)
    validation.ndcg_at_10(lambda encoded: asked.append(encoded) or np.zeros((len(encoded), 3), np.float32))
    assert asked[0].tolist() == [[-1, 1, 0]]


def test_no_questions_give_zero():
    assert Validation([], [], items=3, max_history=2).ndcg_at_10(scores_always(1, 2, 3)) == 0.0


def test_many_questions_are_thinned_to_the_same_ten_thousand():
    histories = [np.array([i % 5]) for i in range(10_050)]
    first, second = (Validation(histories, range(10_050), 20_000, 2) for _ in range(2))
    assert len(first) == 10_000
    np.testing.assert_array_equal(first.targets, second.targets)


def test_questions_of_one_visit_are_no_evidence_apart_from_each_other():
    """Keeping what was seen helps in every question of two visits of twelve, and in no other."""
    histories, targets = [np.array([0])] * 60, ([0] * 5 + [1] * 25) * 2
    visits = np.repeat(np.arange(12), 5)
    apart = Validation(histories, targets, items=3, max_history=3)
    together = Validation(histories, targets, items=3, max_history=3, groups=visits)
    assert apart.best_policy(scores_always(2, 3, 1))[0] != "mask"
    assert together.best_policy(scores_always(2, 3, 1))[0] == "mask"


@pytest.mark.parametrize(
    ("items", "asked"), [(200_000, 10_000), (1_000_000, 2_000), (1_500_000, 1_333), (10_000_000, 1_000)]
)
def test_model_that_scores_every_item_of_a_large_catalog_is_asked_fewer_of_the_questions(items, asked):
    """Every row is the same here, so that none is as long as the catalog."""
    validation, rows = Validation([np.array([0])] * 12_000, [1] * 12_000, items, max_history=1), []

    def scores_of(encoded):
        rows.append(len(encoded))
        return np.broadcast_to(np.array([3, 2], dtype=np.float32), (len(encoded), 2))

    assert validation.ndcg_at_10(scores_of) == 1.0
    assert sum(rows) == asked and len(validation) == 10_000
