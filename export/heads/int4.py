"""Variant int4-rerank: every item is scored by a row of 4-bit numbers, and the best few again by their fp32 row.

The 4-bit product is onnxruntime's own operator `MatMulNBits`. It reads an eighth of the memory that fp32 rows
take, and the second look makes up for what was rounded. Every item is looked at, so nothing is missed for lying in
the wrong place; the cost grows with the catalog.
"""

import numpy as np
import onnx

from export.graphs.onnx_text import piece
from export.graphs.outline import Outline
from export.graphs.scoring import LOOKUP, Scoring
from export.heads.excluding import EXCLUDE, QUERY, closed

_MICROSOFT = "com.microsoft"
_GROUP, _MIDDLE, _HIGHEST = 32, 8, 7
"""Numbers that share a scale; what stands for 0; the farthest from it."""

_AGAIN = 400
"""How many are scored again, besides those asked for: what they hold of the exact ten best was 1.000 in trials."""

_ROUGH = """
rough (float[batch, DIMENSION] query) => (float[batch, columns] rough_scores)
{
  PADDED_QUERY
  products = com.microsoft.MatMulNBits <K = INNER, N = COLUMNS, bits = 4, block_size = 32>
    (rounded_query, packed_rows, packed_scales)
  rough_scores = Add (products, item_bias)
}
"""

_CHOSEN = """
chosen (float[batch, columns] rough_scores, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, again] candidates)
<int64[1] again = {AGAIN}>
{
  more = Shape <start = 1, end = 2> (excluded)
  answers = Add (k, more)
  wanted = Add (answers, again)
  all = Shape <start = 1, end = 2> (rough_scores)
  count = Min (wanted, all)
  MIXED
  some_scores, candidates = TopK <axis = 1> (mixed, count)
}
"""

_MIXED = """logs = LogSoftmax <axis = 1> (rough_scores)
  probabilities = Exp (logs)
  either = Add (probabilities, popular)
  mixed = Log (either)"""

_AGAIN_EXACTLY = """
exactly (float[batch, DIMENSION] query, int64[batch, again] candidates, float[batch, columns] rough_scores)
  => (float[batch, again] exact_scores)
<int64[1] last = {2}, int64[1] across = {1}>
{
  candidate_rows = Gather <axis = 0> (item_table, candidates)
  query_column = Unsqueeze (query, last)
  dots = MatMul (candidate_rows, query_column)
  products = Squeeze (dots, last)
  some_bias = Gather <axis = 0> (item_bias, candidates)
  plain = Add (products, some_bias)
  FINISHED
}
"""

_FINISHED = """total = ReduceLogSumExp <keepdims = 1> (rough_scores, across)
  logs = Sub (plain, total)
  probabilities = Exp (logs)
  some_popular = Gather <axis = 0> (popular, candidates)
  either = Add (probabilities, some_popular)
  exact_scores = Log (either)"""

_BEST = """
best (float[batch, again] exact_scores, int64[batch, again] candidates)
  => (int32[batch, again] found_items, float[batch, again] best_found)
{
  count = Shape <start = 1, end = 2> (exact_scores)
  best_found, order = TopK <axis = 1> (exact_scores, count)
  ordered = GatherElements <axis = 1> (candidates, order)
  found_items = Cast <to = 6> (ordered)
}
"""


def int4_graph(scoring: Scoring, opset: int) -> Outline:
    """The whole graph, see `contracts.graph`."""
    search, tables = _search(scoring, opset)
    return closed([piece(scoring.text(LOOKUP), opset), scoring.encoder, *search], tables)


def int4_search(scoring: Scoring, opset: int) -> Outline:
    """What stands behind the encoder alone: `query` float32 [batch, d] in the place of the history."""
    return closed(*_search(scoring, opset), QUERY)


def _search(scoring: Scoring, opset: int) -> tuple[list[onnx.ModelProto], dict[str, np.ndarray]]:
    packed, scales = _pack(scoring.rows)
    inner, extra = packed.shape[1] * _GROUP, packed.shape[1] * _GROUP - scoring.dimension
    pads = {"no_pads": np.array([0, 0, 0, extra], dtype=np.int64)}
    padded = "rounded_query = Pad (query, no_pads)" if extra else "rounded_query = Identity (query)"
    mixed = scoring.popular is not None
    rough = _ROUGH.replace("PADDED_QUERY", padded).replace("INNER", str(inner))
    texts = [
        _CHOSEN.replace("AGAIN", str(_AGAIN)).replace(
            "MIXED", _MIXED if mixed else "mixed = Identity (rough_scores)"
        ),
        _AGAIN_EXACTLY.replace("FINISHED", _FINISHED if mixed else "exact_scores = Identity (plain)"),
        _BEST,
        EXCLUDE,
    ]
    parts = [
        piece(scoring.text(rough.replace("COLUMNS", str(len(packed)))), opset, _MICROSOFT, **pads),
        *(piece(scoring.text(text), opset) for text in texts),
    ]
    tables = {"item_table": scoring.rows, "packed_rows": packed, "packed_scales": scales.reshape(-1)}
    tables["item_bias"] = _with_last(scoring.bias, len(packed), -np.inf)
    if mixed:
        tables["popular"] = _with_last(scoring.popular, len(packed), 0.0)
    return parts, tables


def _with_last(values: np.ndarray | None, rows: int, padding: float) -> np.ndarray:
    """float32 [rows]; PADDING, the last, is never found."""
    own = np.zeros(rows, dtype=np.float32) if values is None else values.astype(np.float32)
    return np.append(own[:-1], np.float32(padding))


def _pack(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [rows, groups, 16], two numbers a byte, the first in the low half; scales float32 [rows, groups]."""
    groups = -(-rows.shape[1] // _GROUP)
    packed = np.empty((len(rows), groups, _GROUP // 2), dtype=np.uint8)
    scales = np.empty((len(rows), groups), dtype=np.float32)
    for first in range(0, len(rows), 1 << 17):
        own = rows[first : first + (1 << 17)]
        own = np.pad(own, ((0, 0), (0, groups * _GROUP - rows.shape[1]))).reshape(len(own), groups, _GROUP)
        steps = np.maximum(np.abs(own).max(axis=2), 1e-30) / np.float32(_HIGHEST)
        numbers = (np.rint(own / steps[:, :, None]) + _MIDDLE).astype(np.uint8)
        packed[first : first + len(own)] = numbers[:, :, 0::2] | numbers[:, :, 1::2] << 4
        scales[first : first + len(own)] = steps
    return packed, scales
