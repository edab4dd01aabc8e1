"""Blend: the transformer's probabilities and the neighbours' votes in one score."""

import numpy as np

from contracts.progress import Progress, silent
from contracts.rung_sections import Blend as Choices
from models.rungs.item_to_item import ItemToItem
from models.rungs.sasrec import Sasrec
from models.validating import Validation

LEAST = 1e-30
"""Added before the logarithm: an item that neither part would ever name still has a finite score."""


class Blend:
    """score = log(softmax(network's scores) + share * neighbours' scores).

    Both parts are on the scale of probabilities: the votes of one interaction add up to about 1.
    """

    rung = "blend"

    def __init__(self, network: Sasrec, neighbours: ItemToItem, share: float) -> None:
        self.network = network
        self.neighbours = neighbours
        self.share = share

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]."""
        probabilities = _softmax(self.network.scores_and_padding(history))[:, :-1]
        votes = np.float32(self.share) * self.neighbours.scores(history)
        return np.log(probabilities + votes + np.float32(LEAST)).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        network = {f"network.{name}": array for name, array in self.network.to_arrays().items()}
        neighbours = {f"neighbours.{name}": array for name, array in self.neighbours.to_arrays().items()}
        return network | neighbours | {"share": np.float32([self.share])}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Blend":
        def under(prefix: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}

        network, neighbours = Sasrec.from_arrays(under("network.")), ItemToItem.from_arrays(under("neighbours."))
        return cls(network, neighbours, float(arrays["share"][0]))


def choose_share(
    network: Sasrec,
    neighbours: ItemToItem,
    choices: Choices,
    validation: Validation,
    progress: Progress = silent,
) -> float:
    """The share of the neighbours with the best NDCG@10 on the validation part. Of equals, the first."""
    ndcg = []
    for share in choices.neighbours:
        ndcg.append(validation.ndcg_at_10(Blend(network, neighbours, share).scores))
        progress("blend: shares", len(ndcg), len(choices.neighbours))
    return float(np.float32(choices.neighbours[int(np.argmax(ndcg))]))


def _softmax(scores: np.ndarray) -> np.ndarray:
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
