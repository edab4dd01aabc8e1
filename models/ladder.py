"""The rungs of the ladder: every model is a function from an encoded history to scores over the catalog."""

import numpy as np
import torch

from contracts.encoding import PADDING
from contracts.faults import UsageFault
from contracts.sections import Settings
from models.blend import Blend
from models.ease import Ease
from models.ials import Ials
from models.item_tables import FullTable
from models.item_to_item import ItemToItem
from models.popularity import Popularity
from models.sasrec import Sasrec
from models.sasrec_training import new_sasrec
from models.vmis_knn import VmisKnn

RUNGS = ("popularity", "item-to-item", "vmis-knn", "ials", "ease", "sasrec", "blend", "student")
"""The kinds of model, cheapest to learn first."""

TRAININGS = (*RUNGS[:6], "sasrec:jpq", *RUNGS[6:])
"""What can be trained: a rung, or a rung in a variant that is learned and not converted."""

PARENTS: dict[str, tuple[str, ...]] = {"blend": ("sasrec", "item-to-item"), "student": ("blend",)}
"""The rungs that a rung is made of; they are trained first."""

UNTRAINED_RUNGS = ("popularity", "item-to-item", "sasrec", "mean")
"""What `export --untrained` can make."""


class MeanOfItems:
    """Scores by the mean of the history's item embeddings: the least a neural model costs. For benchmarks.

    `item_table` float32 [items + 1, d]; the last row stands for PADDING.
    """

    rung = "mean"

    def __init__(self, item_table: np.ndarray) -> None:
        self.item_table = item_table

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]; all 0 for an empty history."""
        known = (history != PADDING)[:, :, None]
        total = (self.item_table[history] * known).sum(axis=1)
        mean = total / np.maximum(known.sum(axis=1), 1).astype(np.float32)
        return mean @ self.item_table[:-1].T

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"item_table": self.item_table}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "MeanOfItems":
        return cls(arrays["item_table"])


Model = Popularity | ItemToItem | VmisKnn | Ials | Ease | Sasrec | Blend | MeanOfItems

_MODELS = {
    model.rung: model for model in (Popularity, ItemToItem, VmisKnn, Ials, Ease, Sasrec, Blend, MeanOfItems)
} | {"student": Sasrec}


def model_from_arrays(rung: str, arrays: dict[str, np.ndarray]) -> Model:
    """The model whose `to_arrays` gave `arrays`."""
    return _model_class(rung).from_arrays(arrays)


def untrained(rung: str, items: int, settings: Settings, seed: int) -> Model:
    """A model of the trained one's shape and cost with random weights, for benchmarks of any catalog size.

    Raises `UsageFault` for an unknown rung.
    """
    if rung not in UNTRAINED_RUNGS:
        raise UsageFault(f"there is no untrained {rung!r}; expected one of {', '.join(UNTRAINED_RUNGS)}.")
    random = np.random.default_rng(seed)
    kind = _model_class(rung)
    popularity = (1 / np.arange(1, items + 1)).astype(np.float32)
    if kind is Popularity:
        return Popularity(popularity)
    if kind is ItemToItem:
        near = random.integers(items, size=(items, max(settings.item_to_item.neighbours)), dtype=np.int32)
        similarities = np.sort(random.random(near.shape, dtype=np.float32))[:, ::-1].copy()
        return ItemToItem(near, similarities, 0.5, popularity, float(np.float32(1e-6)))
    if kind is MeanOfItems:
        table = random.standard_normal((items + 1, settings.sasrec.dimension), dtype=np.float32)
        return MeanOfItems(table)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        table = FullTable(items, settings.sasrec.dimension)
        return new_sasrec(table, items, settings.training.max_history, settings.sasrec).eval()


def _model_class(rung: str) -> type[Model]:
    if rung not in _MODELS:
        raise UsageFault(f"there is no rung {rung!r}; expected one of {', '.join(_MODELS)}.")
    return _MODELS[rung]
