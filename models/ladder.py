"""The rungs of the ladder: every model is a function from an encoded history to scores over the catalog."""

import numpy as np

from models.rungs.blend import Blend
from models.rungs.ease import Ease
from models.rungs.ials import Ials
from models.rungs.item_to_item import ItemToItem
from models.rungs.popularity import Popularity
from models.rungs.sasrec import Sasrec
from models.rungs.vmis_knn import VmisKnn

RUNGS = ("popularity", "item-to-item", "vmis-knn", "ials", "ease", "sasrec", "blend", "student")
"""The kinds of model, cheapest to learn first."""

TRAININGS = (*RUNGS[:6], "sasrec:jpq", *RUNGS[6:])
"""What can be trained: a rung, or a rung in a variant that is learned and not converted."""

PARENTS: dict[str, tuple[str, ...]] = {"blend": ("sasrec", "item-to-item"), "student": ("blend",)}
"""The rungs that a rung is made of; they are trained first."""

Model = Popularity | ItemToItem | VmisKnn | Ials | Ease | Sasrec | Blend

_MODELS = {model.rung: model for model in (Popularity, ItemToItem, VmisKnn, Ials, Ease, Sasrec, Blend)} | {
    "student": Sasrec
}


def model_from_arrays(rung: str, arrays: dict[str, np.ndarray]) -> Model:
    """The model whose `to_arrays` gave `arrays`."""
    return _MODELS[rung].from_arrays(arrays)
