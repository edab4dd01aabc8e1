import numpy as np
import pytest

from contracts.faults import RunNotValid
from models import metrics
from models.metrics import MISS, ranks, ranks_of_all


def rank_of(target, items, scores):
    return ranks(np.array([items]), np.array([scores]), np.array([target]))[0]


@pytest.mark.parametrize(
    ("items", "scores", "rank"),
    [
        ([7, 1, 2, 3], [4.0, 3.0, 2.0, 1.0], 1),
        ([1, 2, 7, 3], [4.0, 3.0, 2.0, 1.0], 3),
        ([1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0], MISS),
        ([7, 1, 2, 3], [4.0, 4.0, 4.0, 1.0], 3),
        ([1, 7, 2, 3], [4.0, 4.0, 2.0, 1.0], 2),
        ([1, 2, 7, 3], [4.0, 3.0, 1.0, 1.0], MISS),
        ([7, 1, 2, 3], [1.0, 1.0, 1.0, 1.0], MISS),
        ([1, 2, 3, 7], [4.0, 3.0, 2.0, 1.0], 4),
        ([1, 7, 2, -1], [4.0, 3.0, 3.0, -np.inf], 3),
        ([1, 2, 7, 7], [4.0, 3.0, -np.inf, -np.inf], MISS),
    ],
)
def test_rank_counts_ties_against_the_model(items, scores, rank):
    assert rank_of(7, items, scores) == rank


def test_padding_is_never_a_hit():
    assert rank_of(-1, [3, -1], [1.0, -np.inf]) == MISS


def test_single_target_metrics_are_visible_arithmetic():
    found = np.array([1, 2, 3, 10, 11, MISS])
    assert metrics.ndcg_at(found, 10).tolist() == pytest.approx(
        [1, 1 / np.log2(3), 1 / np.log2(4), 1 / np.log2(11), 0, 0]
    )
    assert metrics.hit_rate_at(found, 10).tolist() == [1, 1, 1, 1, 0, 0]
    assert metrics.reciprocal_rank_at(found, 10).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 10, 0, 0])


def test_several_targets_are_normalised_by_what_was_possible():
    recommended = np.array([[1, 2, 3, 4], [1, 2, 3, 4]])
    scores = np.array([[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    found, owners = ranks_of_all(recommended, scores, [np.array([3, 1, 9]), np.array([2])])
    possible = 1 + 1 / np.log2(3)
    assert metrics.ndcg_multi_at(found, owners, 2).tolist() == pytest.approx([1 / possible, 1 / np.log2(3)])
    assert metrics.recall_at(found, owners, 3).tolist() == pytest.approx([2 / 3, 1])


def test_one_target_gives_the_same_by_both_ways():
    rng = np.random.default_rng(0)
    recommended = np.argsort(rng.random((50, 30)), axis=1)[:, :21]
    scores = -np.sort(rng.integers(0, 15, (50, 21)), axis=1).astype(float)
    targets = rng.integers(0, 30, 50)
    found = ranks(recommended, scores, targets)
    many, owners = ranks_of_all(recommended, scores, list(targets[:, None]))
    assert metrics.ndcg_multi_at(many, owners, 20).tolist() == pytest.approx(metrics.ndcg_at(found, 20).tolist())
    assert metrics.recall_at(many, owners, 20).tolist() == metrics.hit_rate_at(found, 20).tolist()


def test_a_target_that_repeats_counts_once():
    found, owners = ranks_of_all(np.array([[1, 2]]), np.array([[2.0, 1.0]]), [np.array([1, 1, 5])])
    assert metrics.recall_at(found, owners, 2).tolist() == [1 / 2]


def test_coverage_ignores_padding_and_what_is_below_k():
    assert metrics.coverage(np.array([[0, 1, 5], [0, -1, 6]]), catalog_size=8, k=2) == 2 / 8


def test_interval_holds_the_mean_and_narrows_with_more_groups():
    values = np.tile([0.0, 1.0], 500)
    mean, low, high = metrics.interval(values, np.arange(1000), 500, seed=1)
    assert mean == 0.5
    standard_error = 0.5 / np.sqrt(1000)
    assert low == pytest.approx(0.5 - 1.96 * standard_error, abs=0.005)
    assert high == pytest.approx(0.5 + 1.96 * standard_error, abs=0.005)


def test_interval_is_wider_when_the_questions_of_a_group_agree():
    values = np.repeat(np.tile([0.0, 1.0], 50), 10)
    _, low, high = metrics.interval(values, np.arange(1000), 500, seed=1)
    _, low_grouped, high_grouped = metrics.interval(values, np.repeat(np.arange(100), 10), 500, seed=1)
    assert high_grouped - low_grouped > 2 * (high - low)


def test_interval_is_the_same_for_the_same_seed():
    values = np.random.default_rng(0).random(200)
    first, again, other = (metrics.interval(values, np.arange(200), 200, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_paired_difference_sees_what_two_intervals_cannot():
    hard = np.random.default_rng(0).random(300)
    better = hard + 0.01
    difference, low, high = metrics.paired_difference(better, hard, np.arange(300), 200, seed=1)
    assert (difference, low, high) == pytest.approx((0.01, 0.01, 0.01))


def test_no_questions_give_no_figure():
    with pytest.raises(RunNotValid):
        metrics.interval(np.empty(0), np.empty(0), 100, seed=1)


def test_no_targets_give_no_ranks():
    assert ranks(np.empty((0, 5), dtype=int), np.empty((0, 5)), np.empty(0, dtype=int)).tolist() == []
