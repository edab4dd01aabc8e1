"""How far the numbers inside a graph reach when real histories run through it."""

from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from contracts.encoding import encode_excluded, encode_histories
from contracts.graph import EXCLUDED, HISTORY, K
from export.graphs.sessions import open_session

_BATCH = 32


class Range(NamedTuple):
    low: float
    high: float


def ranges_of(
    model: onnx.ModelProto, tensors: list[str], histories: list[list[int]], max_history: int
) -> dict[str, Range]:
    """The smallest and the largest number of each named tensor over all `histories`, at least one."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    session = open_session(shown)
    lows, highs = np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf)
    for start in range(0, len(histories), _BATCH):
        batch = histories[start : start + _BATCH]
        given = {
            HISTORY: encode_histories(batch, max_history),
            EXCLUDED: encode_excluded([()] * len(batch)),
            K: np.array([1], dtype=np.int64),
        }
        found = session.run(tensors, given)
        lows = np.minimum(lows, [values.min() for values in found])
        highs = np.maximum(highs, [values.max() for values in found])
    return {name: Range(float(low), float(high)) for name, low, high in zip(tensors, lows, highs, strict=True)}
