"""The end of every head: of the items that were found, what is excluded falls away, and the best k remain."""

import numpy as np
import onnx

from contracts.graph import EXCLUDED, HISTORY, K
from export.graphs.outline import Outline, outline
from export.graphs.scoring import joined

EXCLUDE = """
exclude (int32[batch, taken] found_items, float[batch, taken] best_found, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, answers] items, float[batch, answers] scores)
<int64[1] last = {2}, int64[1] middle = {1}, int32[1] padding = {-1}, int64[1] one = {1}, float lowest = {-inf}>
{
  batch = Shape <start = 0, end = 1> (found_items)
  column_shape = Concat <axis = 0> (batch, one)
  padding_column = Expand (padding, column_shape)
  never = Concat <axis = 1> (excluded, padding_column)
  never_across = Unsqueeze (never, middle)
  items_down = Unsqueeze (found_items, last)
  pairs = Equal (items_down, never_across)
  marks = Cast <to = 3> (pairs)
  any_mark = ReduceMax <keepdims = 0> (marks, last)
  is_excluded = Cast <to = 9> (any_mark)
  allowed = Where (is_excluded, lowest, best_found)
  scores, order = TopK <axis = 1> (allowed, k)
  short_items = GatherElements <axis = 1> (found_items, order)
  items = Cast <to = 7> (short_items)
}
"""
"""Found are the best, in order, and as many more as are excluded. Of equals the one that was found first."""


def closed(
    parts: list[onnx.ModelProto], tables: dict[str, np.ndarray], asked: tuple[str, ...] = (HISTORY,)
) -> Outline:
    """The parts as one graph that needs nothing but its inputs and `tables`, checked. `asked` are the inputs that
    say whom for."""
    model = joined(parts)
    inputs = {value.name: value for value in model.graph.input}
    open_ends = inputs.keys() - {*asked, EXCLUDED, K}
    assert not open_ends, f"nothing gives {open_ends}"
    whole = outline(model, tables)
    onnx.checker.check_model(whole.model, full_check=True)
    return whole
