"""From item ids to the integers a model sees. One implementation for training, measuring and serving.

The order of the steps is the contract: drop what the catalog does not hold, keep the newest
`max_history`, pad on the left. So the newest item is always in the last column.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

PADDING = -1
"""Item index that means nothing. Graphs and models hold one extra last row for it."""

RepeatPolicy = Literal["mask", "keep", "drop-last", "first"]
REPEAT_POLICIES: tuple[RepeatPolicy, ...] = get_args(RepeatPolicy)


@dataclass(frozen=True)
class Catalog:
    """All servable items in index order: index i is row i of the model.

    `item_numbers[i]` is the stable number of `item_ids[i]` (see `contracts.item_numbers`).
    `titles` is empty or as long as `item_ids`; an unknown title is "".
    """

    item_ids: Sequence[str]
    item_numbers: np.ndarray
    titles: Sequence[str] = ()
    index_of_id: dict[str, int] = field(init=False, repr=False)
    index_of_number: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numbers = np.asarray(self.item_numbers, dtype=np.int64)
        by_number = np.full(int(numbers.max()) + 2 if len(numbers) else 1, PADDING, dtype=np.int32)
        by_number[numbers] = np.arange(len(numbers), dtype=np.int32)
        object.__setattr__(self, "item_numbers", numbers)
        object.__setattr__(self, "index_of_id", {item: i for i, item in enumerate(self.item_ids)})
        object.__setattr__(self, "index_of_number", by_number)

    def __len__(self) -> int:
        return len(self.item_ids)

    def title(self, index: int) -> str:
        """The title of an item, or its id where the log brought none."""
        return (self.titles[index] if self.titles else "") or self.item_ids[index]

    def indices_of_ids(self, ids: Iterable[str]) -> list[int]:
        """Item indices in the order given; an id outside the catalog is dropped."""
        get = self.index_of_id.get
        return [i for i in map(get, ids) if i is not None]

    def indices_of_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """int32 item indices in the order given; a number outside the catalog is dropped."""
        indices = self.index_of_number.take(numbers, mode="clip")  # the last is PADDING: all larger land there
        return indices[indices != PADDING]


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
