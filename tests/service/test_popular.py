"""The popular list answers as one that holds every place, and holds only the first."""

import numpy as np
import pytest

from service import popular as module
from service.popular import PopularList


def answers_of_the_whole(popular, front, excluded, k):
    """The same by going through all places."""
    order = [*front, *(item for item in popular if item not in set(front))]
    found = []
    for row in excluded:
        left = [(item, 1 / place) for place, item in enumerate(order, start=1) if item not in set(row)]
        found.append([item for item, _ in left][:k])
    return found


@pytest.mark.parametrize("front", [[], [7], [39, 0, 3, 38]], ids=len)
@pytest.mark.parametrize("k", [1, 5, 39, 40, 60])
@pytest.mark.parametrize("at_hand", [3, 2048])
def test_answers_are_those_of_the_whole_list(monkeypatch, front, k, at_hand):
    monkeypatch.setattr(module, "_AT_HAND", at_hand)
    popular = np.random.default_rng(1).permutation(40).astype(np.int32)
    excluded = np.array([[-1, -1, -1], [*popular[:2], -1], [*popular[-3:]], [7, 39, popular[0]]], dtype=np.int32)
    items, scores = PopularList(popular, np.array(front, dtype=np.int32)).predict(np.empty((4, 1)), excluded, k)
    found = [row[np.isfinite(kept)].tolist() for row, kept in zip(items, scores, strict=True)]
    assert found == answers_of_the_whole(popular.tolist(), front, excluded.tolist(), k)
    assert items.dtype == np.int64
    assert scores.dtype == np.float32


def test_score_is_one_divided_by_the_place():
    _, scores = PopularList(np.array([2, 0, 1])).predict(np.empty((1, 1)), np.empty((1, 0), dtype=np.int32), 3)
    assert scores.tolist() == [[1, 0.5, np.float32(1 / 3)]]


def test_a_list_of_many_millions_costs_nothing_to_make(tmp_path):
    place = tmp_path / "sparse"
    with place.open("wb") as file:
        file.truncate(4 * 50_000_000)  # zeros that no disk holds
    mapped = np.memmap(place, dtype=np.int32, mode="r")
    made = PopularList(mapped, front=np.array([5], dtype=np.int32))
    assert made._items.nbytes + made._scores.nbytes < 100_000
