"""Variant scann: ScaNN's index finds candidates, and they are scored again by their row in half precision.

The one head that needs a library beside onnxruntime: docs/decisions tell what that buys. Two graphs and the index
between them make up the artifact, see `contracts.graph`.
"""

import numpy as np

from contracts.graph import HISTORY, QUERY
from export.graphs.onnx_text import piece
from export.graphs.outline import Outline
from export.graphs.scoring import Scoring
from export.heads.excluding import EXCLUDE, closed
from export.heads.reranking import BEST, with_last
from export.heads.scann_index import Index
from export.variants.rewriting import CannotBeMade

_LOOKUP = """
lookup (int32[batch, MAX_HISTORY] history) => (float[batch, MAX_HISTORY, DIMENSION] rows)
{
  half_rows = Gather <axis = 0> (item_table, history)
  rows = Cast <to = 1> (half_rows)
}
"""

_SCORES = """
score (float[batch, DIMENSION] query, int64[batch, n] candidates) => (float[batch, n] exact_scores)
<int64[1] last = {2}>
{
  half_rows = Gather <axis = 0> (item_table, candidates)
  rows = Cast <to = 1> (half_rows)
  query_column = Unsqueeze (query, last)
  dots = MatMul (rows, query_column)
  products = Squeeze (dots, last)
  bias = Gather <axis = 0> (item_bias, candidates)
  exact_scores = Add (products, bias)
}
"""


def refuse_mixed(scoring: Scoring) -> None:
    """Raises `CannotBeMade` for scores that an index cannot rank."""
    if scoring.popular is not None:
        raise CannotBeMade("popularity is mixed into every score, which an index of rows cannot rank")


def scann_graph(scoring: Scoring, index: Index, opset: int) -> Outline:
    """Both graphs and the index, see `contracts.graph`."""
    texts = [scoring.text(text) for text in (_LOOKUP, _SCORES, BEST, EXCLUDE)]
    lookup, *rescoring = [piece(text, opset) for text in texts]
    rows = len(scoring.rows)
    tables = {"item_table": _half(scoring.rows), "item_bias": with_last(scoring.bias, rows, -np.inf)}
    query = closed([lookup, scoring.encoder], {"item_table": tables["item_table"]}, (HISTORY,))
    answer = closed(rescoring, tables, (QUERY, "candidates"))
    return Outline(answer.model, tables, query.model, index.write)


def _half(rows: np.ndarray) -> np.ndarray:
    """float16; what it cannot hold would be answered wrongly. Raises `CannotBeMade`."""
    largest = float(np.abs(rows).max(initial=0.0))
    if not largest <= np.finfo(np.float16).max:
        raise CannotBeMade(f"a number of the item rows is {largest:g}, half precision ends at 65,504")
    return rows.astype(np.float16)
