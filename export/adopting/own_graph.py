"""The graph that somebody brought along, asked as it is, before anything is put around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort

from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import UsageFault, VerdictIsNo
from contracts.graph import EXCLUDED, HISTORY, ITEMS, SCORES, K
from export.adopting.signature import Signature
from export.graphs.sessions import open_session

_SCORES_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Answers:
    """What it said to a batch: `scores` [batch, n] as they came, `items` likewise, or None where the scores are of
    every item."""

    items: np.ndarray | None
    scores: np.ndarray

    def __getitem__(self, rows: slice) -> "Answers":
        return Answers(None if self.items is None else self.items[rows], self.scores[rows])

    def best(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Items and scores of the best, best first; of equals the lower index first."""
        if self.items is not None:
            return self.items[:, :count], self.scores[:, :count]
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, :count]
        return order, np.take_along_axis(self.scores, order, axis=1)


class OwnGraph:
    """Raises `UsageFault` where onnxruntime cannot open it."""

    def __init__(self, model: onnx.ModelProto, signature: Signature, items: int, max_history: int) -> None:
        self.signature, self.items, self.max_history = signature, items, max_history
        try:
            self._session = open_session(model)
        except Exception as error:  # onnxruntime has no common base class for its errors
            raise UsageFault(
                f"onnxruntime {ort.__version__} cannot open the graph: {error}. Expected operators that it "
                "knows. Export the model with a lower opset, or without custom operators."
            ) from error

    @property
    def at_once(self) -> int:
        """How many histories to ask at most where every score is looked at: of a large catalog few fit."""
        return max(8, _SCORES_AT_ONCE // self.items)

    def ask(
        self, histories: Sequence[Sequence[int]], k: int | None = None, *, length: int | None = None
    ) -> Answers:
        """Answers to histories of item indices, nothing excluded. `k` is for graphs that want to know; `length` is
        that of the padded history, `max_history` unless told. Raises `VerdictIsNo` where it fails."""
        given = {HISTORY: encode_histories(histories, length or self.max_history)}
        given[EXCLUDED] = encode_excluded([()] * len(histories))
        given[K] = np.array([min(k or self.items, self.items)])
        types = {name: onnx.helper.tensor_dtype_to_np_dtype(kind) for name, kind in self.signature.dtypes.items()}
        given = {name: given[name].astype(kind) for name, kind in types.items()}
        names = [SCORES] if self.signature.form == "all scores" else [SCORES, ITEMS]
        try:
            scores, *items = self._session.run(names, given)
        except Exception as error:
            raise VerdictIsNo(
                f"the graph fails when it is asked for the history {list(histories[0])} and {len(histories) - 1} "
                f"others, padded to {given[HISTORY].shape[1]}: {error}. Expected an answer to any history of the "
                f"item indices 0 to {self.items - 1}, with -1 for padding on the left: ONNX reads index -1 as the "
                f"last row of a table, so a table with {self.items} + 1 rows needs no special case."
            ) from error
        return Answers(items[0].astype(np.int64) if items else None, scores.astype(np.float32))
