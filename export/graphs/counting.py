"""The bodies of graphs that are written by hand, as ONNX text with the arrays that it leaves open.

MAX_HISTORY stands for the history's length. Item index `items` (the row and column after the last item) stands
for PADDING: ONNX reads index -1 as the last one, so padded positions fall there by themselves.
"""

import numpy as np

from contracts.encoding import PADDING
from export.graphs.sparse_top_k import in_three_bytes
from models.rungs.item_to_item import ItemToItem
from models.rungs.popularity import Popularity

_PADDING_ROW = ((0, 1), (0, 0))

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

NO_VOTES = """
no_votes (int32[batch, MAX_HISTORY] history) => (int32[batch, c] voted, float[batch, c] votes)
<int64[1] first = {0}, int64[1] second = {1}>
{
  voted = Slice (history, first, first, second)
  votes = Cast <to = 1> (voted)
}
"""

ITEM_TO_ITEM_VOTES = """
item_to_item (int32[batch, MAX_HISTORY] history) => (int32[batch, c] voted, float[batch, c] votes)
<int64[1] first = {0}, int64[1] second = {1}, int64[1] end = {MAX_HISTORY}, int64[2] flat = {0, -1},
 int32 some_item = {0}, int32 places_of_low = {65536}>
{
  highest = ReduceMax <keepdims = 0> (history, first)
  is_used = Min (highest, some_item)
  begin = ArgMax <axis = 0, keepdims = 1> (is_used)
  used = Slice (history, begin, end, second)
  recency_of_used = Slice (recency, begin, end, second)
  low_of_history = Gather <axis = 0> (neighbours_low, used)
  high_of_history = Gather <axis = 0> (neighbours_high, used)
  low = Cast <to = 6> (low_of_history)
  high = Cast <to = 6> (high_of_history)
  upper = Mul (high, places_of_low)
  neighbours_of_history = Add (low, upper)
  similarities_of_history = Gather <axis = 0> (similarities, used)
  decayed = Mul (similarities_of_history, recency_of_used)
  voted = Reshape (neighbours_of_history, flat)
  votes = Reshape (decayed, flat)
}
"""
"""Columns that are PADDING in the whole batch are left out: what is left to sort is as long as the longest
history. The first that is not is where `is_used`, 0 or PADDING, is greatest."""

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
    return {
        "neighbours": np.pad(model.neighbours, _PADDING_ROW, constant_values=PADDING).astype(np.int32),
        "popular": with_padding_column(model.share * model.popularity),
        **_what_votes_count(model, max_history),
    }


def item_to_item_vote_arrays(model: ItemToItem, max_history: int) -> dict[str, np.ndarray]:
    """As above, without the popular list. PADDING is item index `items` here, which no item comes after."""
    items = len(model.neighbours)
    known = np.where(model.neighbours == PADDING, items, model.neighbours)
    neighbours = np.pad(known, _PADDING_ROW, constant_values=items)
    return in_three_bytes("neighbours", neighbours) | _what_votes_count(model, max_history)


def _what_votes_count(model: ItemToItem, max_history: int) -> dict[str, np.ndarray]:
    recency = model.decay ** np.arange(max_history - 1, -1, -1)
    return {
        "similarities": np.pad(model.similarities, _PADDING_ROW).astype(np.float32),
        "recency": recency.astype(np.float32)[None, :, None],
    }


def with_padding_column(scores: np.ndarray) -> np.ndarray:
    """float32 [items] -> [1, items + 1]"""
    return np.append(scores, 0).astype(np.float32)[None, :]
