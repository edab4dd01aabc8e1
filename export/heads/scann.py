"""Variant scann: ScaNN's index finds candidates, and they are scored again by their row in half precision.

The one head that needs a library beside onnxruntime: docs/decisions tell what that buys. Two graphs and the index
between them make up the artifact, see `contracts.graph`.

Where popularity is mixed in, the most popular items are candidates of every question. What all scores add up to
is then the part of the better half of what was found, which holds all that score so high, and the part of a fixed
sample of all items for those that score below: the few that weigh much are counted one by one, and of the many
that weigh little some thousands tell enough.
"""

import numpy as np

from contracts.graph import FOUND, HISTORY, QUERY
from export.graphs.onnx_text import piece
from export.graphs.outline import Outline
from export.graphs.scoring import Scoring
from export.heads.excluding import EXCLUDE, closed
from export.heads.probing import front_of
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
score (float[batch, DIMENSION] query, int64[batch, n] found) => (float[batch, n] found_scores)
<int64[1] last = {2}>
{
  half_rows = Gather <axis = 0> (item_table, found)
  rows = Cast <to = 1> (half_rows)
  query_column = Unsqueeze (query, last)
  dots = MatMul (rows, query_column)
  products = Squeeze (dots, last)
  bias = Gather <axis = 0> (item_bias, found)
  found_scores = Add (products, bias)
}
"""

_SAME = """
same (float[batch, n] found_scores, int64[batch, n] found)
  => (float[batch, n] exact_scores, int64[batch, n] candidates)
{
  exact_scores = Identity (found_scores)
  candidates = Identity (found)
}
"""

_TOTAL = """
total (float[batch, DIMENSION] query, float[batch, n] found_scores) => (float[batch, one] total)
<int64[1] last = {1}, float lowest = {-inf}, float[1] each = {EACH}, int64[1] two = {2}, int64[1] end = {-1},
 int64[1] beyond = {9223372036854775807}>
{
  length = Shape <start = 1, end = 2> (found_scores)
  half = Div (length, two)
  better, places = TopK <axis = 1> (found_scores, half)
  least = Slice (better, end, beyond, last)
  sample_scores = Gemm <transB = 1> (query, sample_rows, sample_bias)
  is_below = Less (sample_scores, least)
  below = Where (is_below, sample_scores, lowest)
  below_each = Add (below, each)
  weighing = Concat <axis = 1> (better, below_each)
  total = ReduceLogSumExp <keepdims = 1> (weighing, last)
}
"""

_TOTAL_OF_ALL = """
total (float[batch, DIMENSION] query) => (float[batch, one] total)
<int64[1] last = {1}>
{
  all_scores = Gemm <transB = 1> (query, sample_rows, sample_bias)
  total = ReduceLogSumExp <keepdims = 1> (all_scores, last)
}
"""

_MIX = """
mix (float[batch, DIMENSION] query, float[batch, n] found_scores, int64[batch, n] found, float[batch, one] total)
  => (float[batch, both] exact_scores, int64[batch, both] candidates)
<float lowest = {-inf}>
{
  front_scores = Gemm <transB = 1> (query, front_rows, front_bias)
  is_front = Gather <axis = 0> (in_front, found)
  other_scores = Where (is_front, lowest, found_scores)
  plain = Concat <axis = 1> (other_scores, front_scores)
  batch_shape = Shape <start = 0, end = 1> (query)
  front_length = Shape (front)
  front_shape = Concat <axis = 0> (batch_shape, front_length)
  front_across = Expand (front, front_shape)
  candidates = Concat <axis = 1> (found, front_across)
  logs = Sub (plain, total)
  probabilities = Exp (logs)
  some_popular = Gather <axis = 0> (popular, candidates)
  either = Add (probabilities, some_popular)
  mixed = Log (either)
  is_none = IsInf (plain)
  exact_scores = Where (is_none, lowest, mixed)
}
"""

_SAMPLE = 1 << 14
"""Items that stand for all that score below the candidates. A smaller catalog is its own sample."""


def scann_graph(scoring: Scoring, index: Index, opset: int) -> Outline:
    """Both graphs and the index, see `contracts.graph`."""
    between = [_SAME] if scoring.popular is None else [_total(scoring), _MIX]
    texts = [scoring.text(text) for text in (_LOOKUP, _SCORES, *between, BEST, EXCLUDE)]
    lookup, *rescoring = [piece(text, opset) for text in texts]
    tables = {"item_table": _half(scoring.rows), "item_bias": with_last(scoring.bias, len(scoring.rows), -np.inf)}
    query = closed([lookup, scoring.encoder], {"item_table": tables["item_table"]}, (HISTORY,))
    if scoring.popular is not None:
        tables |= _mixing_tables(scoring, tables["item_bias"], front_of(scoring))
    answer = closed(rescoring, tables, (QUERY, FOUND))
    return Outline(answer.model, tables, query.model, index.write)


def _total(scoring: Scoring) -> str:
    """The logarithm of what all scores add up to, as exponents."""
    if scoring.items <= _SAMPLE:
        return _TOTAL_OF_ALL
    return _TOTAL.replace("EACH", f"{np.log(scoring.items / _SAMPLE):.7f}")


def _mixing_tables(scoring: Scoring, bias: np.ndarray, front: np.ndarray) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(0).permutation(scoring.items)[:_SAMPLE]
    in_front = np.zeros(len(scoring.rows), dtype=bool)
    in_front[front] = True
    return {
        "sample_rows": scoring.rows[drawn],
        "sample_bias": bias[drawn],
        "front": front,
        "front_rows": scoring.rows[front],
        "front_bias": bias[front],
        "in_front": in_front,
        "popular": with_last(scoring.popular, len(scoring.rows), 0.0),
    }


def _half(rows: np.ndarray) -> np.ndarray:
    """float16; what it cannot hold would be answered wrongly. Raises `CannotBeMade`."""
    largest = float(np.abs(rows).max(initial=0.0))
    if not largest <= np.finfo(np.float16).max:
        raise CannotBeMade(f"a number of the item rows is {largest:g}, half precision ends at 65,504")
    return rows.astype(np.float16)
