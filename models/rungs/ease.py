"""EASE: item-to-item weights that were solved for all items together, in closed form.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. What an item says of another is what is
left of it once all the other items have had their say; counted pairs say the same thing several times over.
"""

import functools

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from contracts.progress import Progress, silent
from contracts.rung_sections import Ease as Choices
from models.rungs.co_occurrence import nearest_neighbours
from models.rungs.item_to_item import ItemToItem, Near, assemble, item_weights
from models.splits.interactions import Interactions
from models.sweep import sweep
from models.validating import Validation


class Ease:
    """The strongest positive weights of each item, as a `table` that scores and is served as item-to-item."""

    rung = "ease"

    def __init__(self, table: ItemToItem) -> None:
        self.table = table

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]."""
        return self.table.scores(history)

    def to_arrays(self) -> dict[str, np.ndarray]:
        return self.table.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Ease":
        return cls(ItemToItem.from_arrays(arrays))


def ease_refusal(items: int, choices: Choices) -> str | None:
    """Why there is no EASE of a catalog of so many items, or None where there is one."""
    if items <= choices.max_items:
        return None
    return (
        f"ease is left out: it inverts a matrix of items x items, and the catalog holds {items:,} items; "
        f"expected {choices.max_items:,} at most. Raise max-items in [ease] where time and memory allow: "
        "twice the items take eight times as long."
    )


def fit_ease(
    train: Interactions, users: int, popularity: np.ndarray, choices: Choices, chosen: dict[str, float]
) -> Ease:
    """The model of the interactions in `train` with the settings `chosen` (see `choose_settings`).

    `popularity` float32 [items], the greatest 1. Takes time in the cube of the items, memory in their square.
    """
    near = _nearest(_shared_users(train, users, len(popularity)), train, chosen["l2"], choices.neighbours)
    return Ease(assemble(near, popularity, chosen["decay"], chosen["popularity"]))


def choose_settings(
    earlier: Interactions,
    users: int,
    popularity: np.ndarray,
    choices: Choices,
    validation: Validation,
    progress: Progress = silent,
) -> dict[str, float]:
    """The l2, decay and popularity with the best NDCG@10 on the validation part for a model of the `earlier`
    interactions; `popularity` float32 [items] is made of them too."""
    shared = _shared_users(earlier, users, len(popularity))

    @functools.cache
    def near(l2: float) -> Near:
        return _nearest(shared, earlier, l2, choices.neighbours)

    def ndcg(choice: dict[str, float]) -> float:
        model = assemble(near(choice["l2"]), popularity, choice["decay"], choice["popularity"])
        return validation.ndcg_at_10(model.scores)

    options = {"l2": choices.l2, "decay": choices.decays, "popularity": choices.popularity}
    return sweep(options, ndcg, "ease: settings", progress)


def _shared_users(interactions: Interactions, users: int, items: int) -> np.ndarray:
    """float32 [items, items]: how far the same users took both items.

    A user and an item meet with log(1 + the weight of their interactions): the tenth time says less than the
    second. Where nothing is taken twice, that is the same for all.
    """
    rows = (interactions.weights.astype(np.float64), (interactions.users, interactions.items))
    matrix = sparse.coo_array(rows, shape=(users, items)).tocsr()
    matrix.data = np.log1p(matrix.data)
    return (matrix.T @ matrix).toarray().astype(np.float32)


def _nearest(shared: np.ndarray, interactions: Interactions, l2: float, count: int) -> Near:
    """The `count` strongest positive weights from each item (row), scaled as `nearest_neighbours` says.

    `l2` counts in means of the diagonal, so that the same value means the same on small and large logs.
    """
    items = len(shared)
    strength = np.float32(l2 * max(shared.diagonal().mean(), 1e-9))
    with threadpool_limits(1, "blas"):  # more threads add up in another order: other last digits
        inverse = linalg.inv(
            shared + strength * np.eye(items, dtype=np.float32), overwrite_a=True, assume_a="pos", lower=True
        )
    weights = np.maximum(inverse / -inverse.diagonal(), 0)
    np.fill_diagonal(weights, 0)
    return nearest_neighbours(sparse.csr_array(weights), item_weights(interactions, items), 0.0, count)
