"""From item ids to what a model sees: drop, then cut, then pad."""

import numpy as np
import pytest

from contracts.encoding import (
    PADDING,
    Catalog,
    encode_excluded,
    encode_histories,
    excluded_by_policy,
    repeats_in_front,
)


@pytest.fixture
def catalog() -> Catalog:
    """Items a, b, c with index 0, 1, 2 and numbers 7, 2, 5."""
    return Catalog(["a", "b", "c"], np.array([7, 2, 5]), ["Apple", "", "Cherry"])


def test_items_outside_the_catalog_are_dropped_before_the_history_is_cut(catalog):
    known = catalog.indices_of_ids(["a", "b", "x", "y", "z"])
    assert encode_histories([known], max_history=2).tolist() == [[0, 1]]  # cut first: [PADDING, PADDING]


def test_longer_history_keeps_the_newest_items():
    assert encode_histories([[0, 1, 2, 1]], max_history=3).tolist() == [[1, 2, 1]]


def test_shorter_history_is_padded_on_the_left_so_that_the_newest_is_last():
    encoded = encode_histories([[2], [], [0, 1, 2]], max_history=3)
    assert encoded.tolist() == [[PADDING, PADDING, 2], [PADDING, PADDING, PADDING], [0, 1, 2]]
    assert encoded.dtype == np.int32


def test_no_histories_give_an_empty_batch():
    assert encode_histories([], max_history=4).shape == (0, 4)


def test_ids_and_numbers_lead_to_the_same_indices_in_the_order_given(catalog):
    assert catalog.indices_of_ids(["c", "a", "c"]) == [2, 0, 2]
    assert catalog.indices_of_numbers(np.array([5, 7, 5], dtype=np.uint32)).tolist() == [2, 0, 2]


@pytest.mark.parametrize("outside", [0, 6, 8, 9, 4_000_000_000])
def test_number_outside_the_catalog_is_dropped(catalog, outside):
    assert catalog.indices_of_numbers(np.array([2, outside, 7], dtype=np.uint32)).tolist() == [1, 0]


def test_empty_history_of_numbers_stays_empty(catalog):
    assert catalog.indices_of_numbers(np.array([], dtype=np.uint32)).tolist() == []


def test_empty_catalog_drops_everything():
    catalog = Catalog([], np.array([], dtype=np.int64))
    assert len(catalog) == 0
    assert catalog.indices_of_ids(["a"]) == []
    assert catalog.indices_of_numbers(np.array([0, 3], dtype=np.uint32)).tolist() == []


def test_item_without_a_title_is_called_by_its_id(catalog):
    assert [catalog.title(index) for index in range(3)] == ["Apple", "b", "Cherry"]
    assert Catalog(["a"], np.array([0])).title(0) == "a"


def test_excluded_items_are_padded_on_the_right_to_the_longest():
    encoded = encode_excluded([[3], [], (1, 2)])
    assert encoded.tolist() == [[3, PADDING], [PADDING, PADDING], [1, 2]]
    assert encoded.dtype == np.int32


def test_nothing_excluded_gives_no_columns():
    assert encode_excluded([[], []]).shape == (2, 0)
    assert encode_excluded([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("policy", "excluded"),
    [("mask", [4, 5, 4]), ("first", [4, 5, 4]), ("keep", []), ("drop-last", [4])],
)
def test_repeat_policy_says_which_seen_items_stay_out(policy, excluded):
    assert list(excluded_by_policy([4, 5, 4], policy)) == excluded


@pytest.mark.parametrize("policy", ["mask", "first", "keep", "drop-last"])
def test_empty_history_excludes_nothing_under_any_policy(policy):
    assert list(excluded_by_policy([], policy)) == []


def test_repeats_come_most_frequent_first_and_of_equals_the_most_recent():
    history = [1, 2, 3, 2, 1, 4]  # 1 and 2 twice, 1 more recently; 4 and 3 once, 4 more recently
    assert repeats_in_front(history) == [1, 2, 4, 3]
    assert repeats_in_front([]) == []
