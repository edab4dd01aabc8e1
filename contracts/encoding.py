"""From item ids to the integers a model sees. One implementation for training, measuring and serving.

The order of the steps is the contract: drop what the catalog does not hold, keep the newest
`max_history`, pad on the left. So the newest item is always in the last column.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from contracts.mapped_files import MappedTexts

PADDING = -1
"""Item index that means nothing. Graphs and models hold one extra last row for it."""

RepeatPolicy = Literal["mask", "keep", "drop-last", "first"]
REPEAT_POLICIES: tuple[RepeatPolicy, ...] = get_args(RepeatPolicy)


class Catalog:
    """All servable items in index order: index i is row i of the model.

    `item_numbers[i]` (uint32) is the stable number of `item_ids[i]` (see `contracts.item_numbers`).
    `titles` is empty or as long as `item_ids`; an unknown title is "".
    """

    def __init__(
        self,
        item_ids: Sequence[str],
        item_numbers: np.ndarray,
        titles: Sequence[str] = (),
        *,
        index_of: Callable[[str], int | None] | None = None,
        index_of_number: np.ndarray | None = None,
    ) -> None:
        """`index_of` and `index_of_number` are made out of the others where they are not given."""
        self.item_ids = item_ids
        self.item_numbers = np.asarray(item_numbers, dtype=np.uint32)
        self.titles = titles
        if index_of is not None:
            self.index_of = index_of
        if index_of_number is None:
            index_of_number = indices_by_number(self.item_numbers)
        self.index_of_number = index_of_number

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def index_of(self) -> Callable[[str], int | None]:
        """The item index of an id; None for one outside the catalog."""
        return {item: i for i, item in enumerate(self.item_ids)}.get

    @cached_property
    def ids_of(self) -> Callable[[Sequence[int]], list[str]]:
        """The ids of these item indices, each from 0."""
        if isinstance(self.item_ids, MappedTexts):
            return self.item_ids.chosen
        get = self.item_ids.__getitem__
        return lambda indices: list(map(get, indices))

    def title(self, index: int) -> str:
        """The title of an item, or its id where the log brought none."""
        return (self.titles[index] if len(self.titles) else "") or self.item_ids[index]

    def indices_of_ids(self, ids: Iterable[str]) -> list[int]:
        """Item indices in the order given; an id outside the catalog is dropped."""
        return [i for i in map(self.index_of, ids) if i is not None]

    def places_of_ids(self, ids: Sequence[str]) -> np.ndarray:
        """int32, as long as `ids`: the item index of each, PADDING for one outside the catalog."""
        found = (PADDING if index is None else index for index in map(self.index_of, ids))
        return np.fromiter(found, dtype=np.int32, count=len(ids))

    def indices_of_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """int32 item indices in the order given; a number outside the catalog is dropped."""
        indices = self.index_of_number.take(numbers, mode="clip")  # the last is PADDING: all larger land there
        return indices[indices != PADDING]


def indices_by_number(numbers: np.ndarray) -> np.ndarray:
    """int32: at place n the index of the item with number n, PADDING where none has it and at the end."""
    by_number = np.full(int(numbers.max()) + 2 if len(numbers) else 1, PADDING, dtype=np.int32)
    by_number[numbers] = np.arange(len(numbers), dtype=np.int32)
    return by_number


def encode_histories(histories: Sequence[Sequence[int]], max_history: int) -> np.ndarray:
    """Histories of item indices (newest last) as int32 `[batch, max_history]`, padded on the left.

    Items outside the catalog must be gone already: dropping comes before cutting.
    """
    encoded = np.full((len(histories), max_history), PADDING, dtype=np.int32)
    for row, history in enumerate(histories):
        newest = history[-max_history:]
        if len(newest):
            encoded[row, max_history - len(newest) :] = newest
    return encoded


def encode_excluded(excluded: Sequence[Sequence[int]]) -> np.ndarray:
    """Item indices as int32 `[batch, m]`, padded on the right to the longest (m may be 0). One may stand twice."""
    encoded = np.full((len(excluded), max(map(len, excluded), default=0)), PADDING, dtype=np.int32)
    for row, items in enumerate(excluded):
        encoded[row, : len(items)] = items
    return encoded


def excluded_by_policy(history: Sequence[int], policy: RepeatPolicy) -> Sequence[int]:
    """The seen items that the repeat policy keeps out of the model's answer.

    `first` keeps them out too, because they are put in front of it (see `repeats_in_front`).
    """
    if policy == "keep":
        return ()
    return history[-1:] if policy == "drop-last" else history


def repeats_in_front(history: Sequence[int]) -> list[int]:
    """Seen items for the policy `first`: most frequent first, and of equals the most recent."""
    newest_first = list(reversed(history))
    counts = Counter(newest_first)  # keeps first-met order, which is recency; sorting is stable
    return sorted(counts, key=lambda item: -counts[item])
