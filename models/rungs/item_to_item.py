"""Item-to-item: every item of the history votes for what was taken soon after it."""

import functools

import numpy as np

from contracts.encoding import PADDING
from contracts.progress import Progress, silent
from contracts.rung_sections import ItemToItem as Choices
from models.listing import Listed, add_up
from models.rungs.co_occurrence import count_pairs, nearest_neighbours
from models.splits.interactions import Interactions
from models.sweep import sweep
from models.validating import Validation

_TIE_BREAKER = 1e-6
"""Part of the popular list that orders what has no similarity and moves nothing that has one."""

_TABLES_AT_LEAST, _NEIGHBOURS_AT_MOST = 2, 50_000_000
"""Tables of neighbours kept while the settings are chosen: two, more where they are small. 8 bytes a neighbour."""

Near = tuple[np.ndarray, np.ndarray]
"""Neighbours int32 and similarities float32, both [items, n]: see `ItemToItem`."""


class ItemToItem:
    """neighbours    int32 [items, n]: the nearest of each item, nearest first, PADDING where there are fewer
    similarities  float32 [items, n], 0 at PADDING
    decay         from 0 to 1: what the item before the newest counts; the one before that, its square; ...
    popularity    float32 [items], the greatest 1
    share         above 0: how much of `popularity` is added to every score
    """

    rung = "item-to-item"

    def __init__(
        self,
        neighbours: np.ndarray,
        similarities: np.ndarray,
        decay: float,
        popularity: np.ndarray,
        share: float,
    ) -> None:
        self.neighbours = neighbours
        self.similarities = similarities
        self.decay = decay
        self.popularity = popularity
        self.share = share

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items].

        score(b) = share * popularity(b) + sum over positions of decay ** age * similarity(item there, b),
        where the newest position has age 0. An item that stands twice counts twice.
        """
        batch, items = len(history), len(self.popularity)
        sums = np.bincount(*self._votes(history), minlength=batch * items).reshape(batch, items)
        return (sums + self.base).astype(np.float32)

    @functools.cached_property
    def base(self) -> np.ndarray:
        """float32 [items]: the score of what nothing votes for. See `models.listing`."""
        return self.share * self.popularity

    def listed(self, history: np.ndarray) -> Listed:
        """What the history votes for."""
        places, sums = add_up(*self._votes(history))
        rows, items = np.divmod(places, len(self.popularity))
        return Listed(rows, items, (sums + self.base[items]).astype(np.float32))

    def _votes(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (row * items + item) int64 and votes float64, one for each neighbour of each position."""
        weights = self.decay ** np.arange(history.shape[1] - 1, -1, -1)
        rows, columns = np.nonzero(history != PADDING)
        near = self.neighbours[history[rows, columns]]
        votes = self.similarities[history[rows, columns]] * weights[columns, None]
        kept = near != PADDING
        return (rows[:, None] * len(self.popularity) + near)[kept], votes[kept]

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "neighbours": self.neighbours,
            "similarities": self.similarities,
            "decay": np.float32([self.decay]),
            "popularity": self.popularity,
            "share": np.float32([self.share]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "ItemToItem":
        return cls(
            arrays["neighbours"],
            arrays["similarities"],
            float(arrays["decay"][0]),
            arrays["popularity"],
            float(arrays["share"][0]),
        )


def fit_item_to_item(
    train: Interactions, users: int, popularity: np.ndarray, choices: Choices, chosen: dict[str, float]
) -> ItemToItem:
    """The model of the interactions in `train` with the settings `chosen` (see `choose_settings`).

    `popularity` float32 [items], the greatest 1.
    """
    items, window = len(popularity), int(chosen["window"])
    pairs = count_pairs(train, users, items, [window])[window]
    near = nearest_neighbours(pairs, item_weights(train, items), chosen["idf"], int(chosen["neighbours"]))
    return assemble(near, popularity, chosen["decay"], chosen["popularity"])


def choose_settings(
    earlier: Interactions,
    users: int,
    popularity: np.ndarray,
    choices: Choices,
    validation: Validation,
    progress: Progress = silent,
) -> dict[str, float]:
    """The window, idf, decay and popularity with the best NDCG@10 on the validation part for a model of the
    `earlier` interactions; `popularity` float32 [items] is made of them too. Then the fewest neighbours that
    cost at most `choices.enough` percent of it.
    """
    items = len(popularity)
    pairs = count_pairs(earlier, users, items, choices.windows)
    weights = item_weights(earlier, items)
    counts = sorted(choices.neighbours)

    @functools.lru_cache(maxsize=max(_TABLES_AT_LEAST, _NEIGHBOURS_AT_MOST // (items * counts[-1])))
    def near(window: int, idf: float) -> Near:
        return nearest_neighbours(pairs[window], weights, idf, counts[-1])

    def ndcg(choice: dict[str, float], count: int) -> float:
        neighbours, similarities = near(choice["window"], choice["idf"])
        cut = neighbours[:, :count], similarities[:, :count]
        return validation.ndcg_at_10(assemble(cut, popularity, choice["decay"], choice["popularity"]))

    options = {
        "window": choices.windows,
        "idf": choices.idf,
        "decay": choices.decays,
        "popularity": choices.popularity,
    }
    middle = counts[len(counts) // 2]
    chosen = sweep(options, lambda choice: ndcg(choice, middle), "item-to-item: settings", progress)
    found = [ndcg(chosen, count) for count in counts]
    enough = max(found) * (1 - choices.enough / 100)
    return chosen | {"neighbours": next(n for n, value in zip(counts, found, strict=True) if value >= enough)}


def item_weights(interactions: Interactions, items: int) -> np.ndarray:
    """float64 [items]: the weight of all interactions with each item."""
    return np.bincount(interactions.items, interactions.weights, minlength=items)


def assemble(near: Near, popularity: np.ndarray, decay: float, popularity_mass: float) -> ItemToItem:
    """The model of those neighbours and similarities. `popularity_mass` is what the whole popular list adds up
    to, where the similarities of one interaction add up to 1; the tie-breaker at least."""
    neighbours, similarities = near
    least = np.min(similarities, initial=1.0, where=similarities > 0)
    share = max(popularity_mass / max(popularity.sum(), 1e-9), _TIE_BREAKER * least)
    return ItemToItem(neighbours, similarities, float(np.float32(decay)), popularity, float(np.float32(share)))
