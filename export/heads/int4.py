"""Variant int4-rerank: every item is scored by a row of 4-bit numbers, and the best few again by their fp32 row.

The 4-bit product is onnxruntime's own operator `MatMulNBits`. It reads an eighth of the memory that fp32 rows
take, and the second look makes up for what was rounded. Every item is looked at, so nothing is missed for lying in
the wrong place; the cost grows with the catalog.
"""

import numpy as np
import onnx

from contracts.graph import QUERY
from export.graphs.onnx_text import piece
from export.graphs.outline import Outline
from export.graphs.scoring import LOOKUP, Scoring
from export.heads.excluding import EXCLUDE, closed
from export.heads.reranking import AGAIN, LEAST_BEHIND, chosen_text, rerank_tables, rerank_texts

ROOM = AGAIN - LEAST_BEHIND
_MICROSOFT = "com.microsoft"
_GROUP, _MIDDLE, _HIGHEST = 32, 8, 7
"""Numbers that share a scale; what stands for 0; the farthest from it."""

_ROUGH = """
rough (float[batch, DIMENSION] query) => (float[batch, columns] rough_scores)
{
  PADDED_QUERY
  products = com.microsoft.MatMulNBits <K = INNER, N = COLUMNS, bits = 4, block_size = 32>
    (rounded_query, packed_rows, packed_scales)
  rough_scores = Add (products, item_bias)
}
"""


def int4_graph(scoring: Scoring, opset: int) -> Outline:
    """The whole graph, see `contracts.graph`."""
    search, tables = _search(scoring, opset)
    return closed([piece(scoring.text(LOOKUP), opset), scoring.encoder, *search], tables)


def int4_search(scoring: Scoring, opset: int) -> Outline:
    """What stands behind the encoder alone: `query` float32 [batch, d] in the place of the history."""
    return closed(*_search(scoring, opset), (QUERY,))


def _search(scoring: Scoring, opset: int) -> tuple[list[onnx.ModelProto], dict[str, np.ndarray]]:
    packed, scales = _pack(scoring.rows)
    inner, extra = packed.shape[1] * _GROUP, packed.shape[1] * _GROUP - scoring.dimension
    pads = {"no_pads": np.array([0, 0, 0, extra], dtype=np.int64)}
    padded = "rounded_query = Pad (query, no_pads)" if extra else "rounded_query = Identity (query)"
    rough = _ROUGH.replace("PADDED_QUERY", padded).replace("INNER", str(inner))
    texts = [chosen_text(scoring), *rerank_texts(scoring), EXCLUDE]
    parts = [
        piece(scoring.text(rough.replace("COLUMNS", str(len(packed)))), opset, _MICROSOFT, **pads),
        *(piece(scoring.text(text), opset) for text in texts),
    ]
    tables = {"packed_rows": packed, "packed_scales": scales.reshape(-1)}
    return parts, tables | rerank_tables(scoring)


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
