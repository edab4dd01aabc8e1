"""The bodies of graphs that are written by hand, as ONNX text with the arrays that it leaves open.

MAX_HISTORY stands for the history's length. Item index `items` (the row and column after the last item) stands
for PADDING: ONNX reads index -1 as the last one, so padded positions fall there by themselves.
"""

import numpy as np

from contracts.encoding import PADDING
from models.rungs.item_to_item import ItemToItem
from models.rungs.popularity import Popularity

POPULARITY = """
popularity (int32[batch, MAX_HISTORY] history) => (float[batch, columns] all_scores)
<int64[1] one = {1}>
{
  batch = Shape <start = 0, end = 1> (history)
  shape = Concat <axis = 0> (batch, one)
  all_scores = Expand (popularity, shape)
}
"""

ITEM_TO_ITEM = """
item_to_item (int32[batch, MAX_HISTORY] history) => (float[batch, columns] all_scores)
<int64[1] one = {1}, int64[2] flat = {0, -1}>
{
  batch = Shape <start = 0, end = 1> (history)
  shape = Concat <axis = 0> (batch, one)
  start = Expand (popular, shape)
  neighbours_of_history = Gather <axis = 0> (neighbours, history)
  similarities_of_history = Gather <axis = 0> (similarities, history)
  decayed = Mul (similarities_of_history, recency)
  columns = Reshape (neighbours_of_history, flat)
  gains = Reshape (decayed, flat)
  all_scores = ScatterElements <axis = 1, reduction = "add"> (start, columns, gains)
}
"""

MEAN = """
mean_of_items (float[batch, MAX_HISTORY, dimension] rows, int32[batch, MAX_HISTORY] history)
  => (float[batch, dimension] query)
<int64[1] positions = {1}, int64[1] last = {2}, int32 padding = {-1}, float one = {1.0}>
{
  is_item = Greater (history, padding)
  counted = Cast <to = 1> (is_item)
  weights = Unsqueeze (counted, last)
  items_only = Mul (rows, weights)
  total = ReduceSum <keepdims = 0> (items_only, positions)
  length = ReduceSum <keepdims = 1> (counted, positions)
  divisor = Max (length, one)
  query = Div (total, divisor)
}
"""


def popularity_arrays(model: Popularity) -> dict[str, np.ndarray]:
    return {"popularity": with_padding_column(model.weights)}


def item_to_item_arrays(model: ItemToItem, max_history: int) -> dict[str, np.ndarray]:
    """Each item of the history adds its neighbours' similarities, the newest counting most, to a share of
    the popular list. Unused places of the neighbour table hold PADDING with similarity 0."""
    padding_row = ((0, 1), (0, 0))
    recency = model.decay ** np.arange(max_history - 1, -1, -1)
    return {
        "neighbours": np.pad(model.neighbours, padding_row, constant_values=PADDING).astype(np.int32),
        "similarities": np.pad(model.similarities, padding_row).astype(np.float32),
        "recency": recency.astype(np.float32)[None, :, None],
        "popular": with_padding_column(model.share * model.popularity),
    }


def with_padding_column(scores: np.ndarray) -> np.ndarray:
    """float32 [items] -> [1, items + 1]"""
    return np.append(scores, 0).astype(np.float32)[None, :]
