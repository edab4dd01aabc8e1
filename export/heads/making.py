"""A head for a trained model: which blocks there are, how many are looked at, and what that finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contracts.artifact import Search
from contracts.encoding import encode_excluded, encode_histories
from contracts.sections import JPQ_IVF, Settings
from export.graphs.outline import Outline
from export.graphs.scoring import Scoring
from export.heads import int4, int8
from export.heads.int4 import int4_graph
from export.heads.int8 import int8_graph
from export.heads.ivf import ivf_graph, room_of
from export.heads.probing import Probed, batch_for, plan_search
from export.heads.scann import scann_graph
from export.heads.scann_index import BEHIND, plan_index
from export.variants.parity import TOP
from export.variants.rewriting import CannotBeMade
from service.predictor import OnnxPredictor


@dataclass(frozen=True)
class Head:
    """`room` and `search` as in the manifest; `curve` is the recall of other numbers of blocks, where there are
    blocks."""

    graph: Outline
    room: int | None
    curve: list[Probed]
    search: Search | None = None

    @property
    def of_manifest(self) -> dict[str, object]:
        return {"room": self.room, "search": self.search}


@dataclass(frozen=True)
class Workshop:
    """What heads are made of. Histories of item indices: `shaping` from the training part give the queries by
    which items are grouped; `choosing` from the validation part say how many groups a question looks at."""

    scoring: Scoring
    shaping: list[list[int]]
    choosing: list[list[int]]

    def make(self, variant: str, exact: OnnxPredictor, settings: Settings) -> Head:
        """The head `variant`, one of `contracts.sections.HEADS` or that of codes, held against the `exact` one of
        the same run. Raises `CannotBeMade`."""
        if variant == JPQ_IVF and self.scoring.codes is None:
            raise CannotBeMade("its item table is no table of codes; only a training of its own makes one")
        if variant == "int4-rerank":
            return Head(int4_graph(self.scoring, settings.export.opset), int4.ROOM, [])
        if variant == "int8-rerank":
            return Head(int8_graph(self.scoring, settings.export.opset), int8.ROOM, [])

        def best_of(encoded: np.ndarray) -> np.ndarray:
            return exact.predict(encoded, encode_excluded([()] * len(encoded)), TOP)[0]

        recall, seed = settings.export.recall, settings.training.seed
        if variant == "scann":
            index = plan_index(self.scoring, best_of, self.choosing, recall)
            graph = scann_graph(self.scoring, index, settings.export.opset)
            return Head(graph, index.search.candidates - BEHIND, index.curve, index.search)
        plan = plan_search(self.scoring, best_of, self.shaping, self.choosing, recall, seed)
        graph = ivf_graph(self.scoring, plan.blocks, plan.probing, settings.export.opset)
        return Head(graph, room_of(plan.blocks, plan.probing), plan.curve)


def shared_top(found: OnnxPredictor, exact: OnnxPredictor, histories: Sequence[list[int]]) -> tuple[float, float]:
    """Recall of the ten best of `exact`, nothing excluded, and the largest difference of a score that both give,
    relative to the spread of the exact ten."""
    shared, differences = [], [0.0]
    batch = batch_for(exact.items)
    for first in range(0, len(histories), batch):
        encoded = encode_histories(histories[first : first + batch], exact.max_history)
        nothing = encode_excluded([()] * len(encoded))
        items, scores = found.predict(encoded, nothing, TOP)
        best, expected = exact.predict(encoded, nothing, TOP)
        same = items[:, :, None] == best[:, None, :]
        shared += (same.sum(axis=(1, 2)) / best.shape[1]).tolist()
        apart = (
            np.abs(scores[:, :, None] - expected[:, None, :])
            / np.maximum(np.ptp(expected, axis=1), 1e-9)[:, None, None]
        )
        differences.append(float(apart[same].max(initial=0.0)))
    return float(np.mean(shared)), max(differences)
