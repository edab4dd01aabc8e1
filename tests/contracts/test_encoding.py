"""From item ids to what a model sees: drop, then cut, then pad."""

from collections.abc import Callable
from zlib import crc32

import numpy as np
import pytest

from contracts.catalog_files import open_catalog, write_catalog
from contracts.encoding import (
    PADDING,
    Catalog,
    encode_excluded,
    encode_histories,
    excluded_by_policy,
    repeats_in_front,
)

ODD_IDS = ["0000628", "", " ", "with\nnewline", "\n", 'quote"', "ünï\u2028cödé", "\r", "\x00", "日本"]
WAYS = ("made", "read", "mapped")


@pytest.fixture(params=WAYS)
def catalog_of(request, tmp_path) -> Callable[..., Catalog]:
    """A catalog as training makes it, as a service reads a small one, and as it maps a large one."""

    def catalog_of(item_ids, numbers, titles=()) -> Catalog:
        made = Catalog(item_ids, np.array(numbers, dtype=np.int64), titles)
        if request.param == "made":
            return made
        write_catalog(tmp_path, made)
        read_up_to = len(item_ids) if request.param == "read" else -1
        return open_catalog(tmp_path, len(item_ids), has_titles=bool(titles), read_up_to=read_up_to)

    return catalog_of


@pytest.fixture
def catalog(catalog_of) -> Catalog:
    """Items a, b, c with index 0, 1, 2 and numbers 7, 2, 5."""
    return catalog_of(["a", "b", "c"], [7, 2, 5], ["Apple", "", "Cherry"])


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


def test_empty_catalog_drops_everything(catalog_of):
    catalog = catalog_of([], [])
    assert len(catalog) == 0
    assert catalog.indices_of_ids(["a"]) == []
    assert catalog.indices_of_numbers(np.array([0, 3], dtype=np.uint32)).tolist() == []


def test_item_without_a_title_is_called_by_its_id(catalog, catalog_of):
    assert [catalog.title(index) for index in range(3)] == ["Apple", "b", "Cherry"]
    assert catalog_of(["a"], [0]).title(0) == "a"


def test_ids_are_a_sequence_in_index_order(catalog_of):
    ids = [f"item {i}" for i in range(7)]
    catalog = catalog_of(ids, range(7))
    assert len(catalog) == len(catalog.item_ids) == 7
    assert list(catalog.item_ids) == ids
    assert (catalog.item_ids[0], catalog.item_ids[-1]) == ("item 0", "item 6")
    for some in (slice(2, 5), slice(5, 99), slice(9, 12), slice(5, 2), slice(None, None, -2)):
        assert catalog.item_ids[some] == ids[some]
    assert catalog.ids_of([3, 0, 3]) == ["item 3", "item 0", "item 3"]
    for outside in (7, -8):
        with pytest.raises(IndexError):
            catalog.item_ids[outside]


def test_any_text_is_an_id_and_leads_to_its_index(catalog_of):
    catalog = catalog_of(ODD_IDS, range(len(ODD_IDS)), ODD_IDS[::-1])
    assert list(catalog.item_ids) == ODD_IDS
    assert list(catalog.titles) == ODD_IDS[::-1]
    assert [catalog.index_of(item) for item in ODD_IDS] == list(range(len(ODD_IDS)))
    assert catalog.ids_of(range(len(ODD_IDS))) == ODD_IDS


@pytest.mark.parametrize("outside", ["x", "A", "a ", "", "a\n", "a\nb", "\ud800"])
def test_id_outside_the_catalog_has_no_index(catalog, outside):
    assert catalog.index_of(outside) is None
    assert catalog.indices_of_ids(["a", outside, "c"]) == [0, 2]
    assert catalog.places_of_ids(["a", outside, "c"]).tolist() == [0, PADDING, 2]


def test_ids_that_share_a_home_are_all_found(catalog_of):
    assert crc32(b"plumless") == crc32(b"buckeroo")
    ids = ["plumless", *(str(i) for i in range(300)), "buckeroo"]
    catalog = catalog_of(ids, range(len(ids)))
    assert catalog.places_of_ids(ids).tolist() == list(range(len(ids)))
    assert catalog_of(ids[:-1], range(301)).index_of("buckeroo") is None


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
