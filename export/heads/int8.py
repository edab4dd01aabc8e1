"""Variant int8-rerank: every item is scored in whole numbers, and the best few again by their fp32 row.

All items share one scale, so the sums of a product of bytes rank them as they are: nothing is done to a million
numbers but to find the greatest. What an item's bias adds is part of the product, in columns of its own. One
product serves a batch: there a question costs a fraction of what it costs alone.

    score = query . row + bias = steps * (query in steps . row in steps + bias step / steps * bias in bias steps)
"""

import numpy as np
import onnx

from contracts.graph import QUERY
from export.graphs.onnx_text import piece
from export.graphs.outline import Outline
from export.graphs.scoring import LOOKUP, Scoring
from export.heads.excluding import EXCLUDE, closed
from export.heads.reranking import rerank_tables, rerank_texts
from export.variants.rewriting import CannotBeMade

_HIGHEST, _DIGIT, _COLUMNS = 127, 63, 8
_GROUP = 64
"""The greatest of so many sums in a row is found first: whoever is among the best n lies in one of the n groups
with the greatest sums, and only those are looked at item by item."""

_AGAIN, _BEHIND = 320, 100
"""Of how many bytes rank, fewer have to be looked at again than of 4 bits."""

ROOM = _AGAIN - _BEHIND
_CLIPPED = 99.99
"""Percent of all numbers that the scale holds: a single large one shall not make it coarse."""

_ROUGH = """
rough (float[batch, DIMENSION] query) => (int32[batch, columns] rough_scores)
<int64[1] last = {1}, float per_step = {PER_STEP}, float tiny = {1e-30}, float middle = {64.0}, float none = {0.0},
 float most = {63.0}, uint8 zero = {64}>
{
  size = Abs (query)
  largest = ReduceMax <keepdims = 1> (size, last)
  some_step = Mul (largest, per_step)
  step = Max (some_step, tiny)
  steps = Div (query, step)
  digits = Round (steps)
  ratio = Div (bias_per_step, step)
  whole = Round (ratio)
  left = Sub (whole, column_starts)
  columns_digits = Clip (left, none, most)
  both = Concat <axis = 1> (digits, columns_digits)
  shifted = Add (both, middle)
  bytes = Cast <to = 2> (shifted)
  rough_scores = MatMulInteger (bytes, rough_table, zero)
}
"""


_CHOSEN = """
chosen (int32[batch, columns] rough_scores, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, again] candidates)
<int64[1] again = {AGAIN}, int64[1] behind = {BEHIND}, int64[3] in_groups = {0, -1, GROUP}, int64[1] last = {2},
 int64[2] in_line = {0, -1}, int64 group = {GROUP}, int64 padding = {PADDING}>
{
  more = Shape <start = 1, end = 2> (excluded)
  answers = Add (k, more)
  asked = Add (answers, behind)
  wanted = Max (asked, again)
  groups = Reshape (rough_scores, in_groups)
  greatest = ReduceMax <keepdims = 0> (groups, last)
  all_groups = Shape <start = 1, end = 2> (greatest)
  some_groups = Min (wanted, all_groups)
  group_scores, best_groups = TopK <axis = 1> (greatest, some_groups)
  group_index = Unsqueeze (best_groups, last)
  sums_by_group = GatherND <batch_dims = 1> (groups, group_index)
  sums = Reshape (sums_by_group, in_line)
  all = Shape <start = 1, end = 2> (sums)
  count = Min (wanted, all)
  best_sums, positions = TopK <axis = 1> (sums, count)
  which = Div (positions, group)
  lane = Mod (positions, group)
  own_group = GatherElements <axis = 1> (best_groups, which)
  before = Mul (own_group, group)
  columns_found = Add (before, lane)
  candidates = Min (columns_found, padding)
}
"""


def int8_graph(scoring: Scoring, opset: int) -> Outline:
    """The whole graph, see `contracts.graph`. Raises `CannotBeMade`."""
    search, tables = _search(scoring, opset)
    return closed([piece(scoring.text(LOOKUP), opset), scoring.encoder, *search], tables)


def int8_search(scoring: Scoring, opset: int) -> Outline:
    """What stands behind the encoder alone: `query` float32 [batch, d] in the place of the history."""
    return closed(*_search(scoring, opset), (QUERY,))


def _search(scoring: Scoring, opset: int) -> tuple[list[onnx.ModelProto], dict[str, np.ndarray]]:
    if scoring.popular is not None:
        raise CannotBeMade("popularity is mixed into every score, which sums of whole numbers cannot rank")
    sizes = {"AGAIN": _AGAIN, "BEHIND": _BEHIND, "GROUP": _GROUP, "PADDING": scoring.items, "PER_STEP": 1 / _DIGIT}
    texts = [_ROUGH, _CHOSEN, *rerank_texts(scoring), EXCLUDE]
    for name, size in sizes.items():
        texts = [text.replace(name, str(size)) for text in texts]
    return [piece(scoring.text(text), opset) for text in texts], _rough_tables(scoring) | rerank_tables(scoring)


def _rough_tables(scoring: Scoring) -> dict[str, np.ndarray]:
    """Items as columns: their rows in steps, then the bias as often as a query may have to count it."""
    rows, sample = scoring.rows, scoring.rows[:: max(1, len(scoring.rows) // 100_000)]
    bias = np.zeros(len(rows), dtype=np.float32) if scoring.bias is None else scoring.bias.astype(np.float32)
    row_step = max(float(np.percentile(np.abs(sample), _CLIPPED)), 1e-30) / _HIGHEST
    bias_step = max(float(np.abs(bias).max()), 1e-30) / _HIGHEST
    columns = -(-len(rows) // _GROUP) * _GROUP
    table = np.zeros((scoring.dimension + _COLUMNS, columns), dtype=np.int8)
    for first in range(0, len(rows), 1 << 17):
        some = slice(first, first + (1 << 17))
        end = min(some.stop, len(rows))
        table[:-_COLUMNS, first:end] = np.rint(rows[some].T / row_step).clip(-_HIGHEST, _HIGHEST)
        table[-_COLUMNS:, first:end] = np.rint(bias[some] / bias_step)
    table[:, scoring.items :] = 0  # PADDING, and what fills the last group: all of it is PADDING when scored again
    return {
        "rough_table": table,
        "bias_per_step": np.array([[bias_step / row_step]], dtype=np.float32),
        "column_starts": np.arange(_COLUMNS, dtype=np.float32)[None] * _DIGIT,
    }
