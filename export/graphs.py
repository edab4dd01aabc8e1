"""One ONNX graph per model: a body of its own (history -> score of every item), then the shared top-k.

Item index `items` (the row and column after the last item) stands for PADDING: ONNX reads index -1 as
the last one, so padded positions fall there by themselves, and the top-k never answers it.
"""

import numpy as np
import onnx
from onnx import compose, numpy_helper, parser

from contracts.encoding import PADDING
from export.torch_graph import torch_body
from models.item_to_item import ItemToItem
from models.ladder import MeanOfItems, Model
from models.popularity import Popularity

IR_VERSION = 10
ALL_SCORES = "all_scores"

TOP_K = """
top_k (float[batch, columns] all_scores, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, answers] items, float[batch, answers] scores)
<int32[1] padding = {-1}, int64[1] one = {1}, float[1] lowest = {-inf}>
{
  batch = Shape <start = 0, end = 1> (all_scores)
  column_shape = Concat <axis = 0> (batch, one)
  padding_column = Expand (padding, column_shape)
  never = Concat <axis = 1> (excluded, padding_column)
  never_shape = Shape (never)
  lowest_scores = Expand (lowest, never_shape)
  allowed = ScatterElements <axis = 1> (all_scores, never, lowest_scores)
  scores, items = TopK <axis = 1, largest = 1, sorted = 1> (allowed, k)
}
"""

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
mean_of_items (int32[batch, MAX_HISTORY] history) => (float[batch, columns] all_scores)
<int64[1] positions = {1}, int64[1] last = {2}, int32 padding = {-1}, float one = {1.0}>
{
  is_item = Greater (history, padding)
  counted = Cast <to = 1> (is_item)
  weights = Unsqueeze (counted, last)
  rows = Gather <axis = 0> (item_table, history)
  items_only = Mul (rows, weights)
  total = ReduceSum <keepdims = 0> (items_only, positions)
  length = ReduceSum <keepdims = 1> (counted, positions)
  divisor = Max (length, one)
  mean = Div (total, divisor)
  all_scores = Gemm <transB = 1> (mean, item_table)
}
"""


def graph_of(model: Model, max_history: int, opset: int) -> onnx.ModelProto:
    """The whole graph of a trained model, as `contracts.graph` describes it."""
    if isinstance(model, Popularity):
        body = _body(POPULARITY, max_history, opset, popularity=_with_padding_column(model.weights))
    elif isinstance(model, ItemToItem):
        body = _item_to_item_body(model, max_history, opset)
    elif isinstance(model, MeanOfItems):
        body = _body(MEAN, max_history, opset, item_table=model.item_table)
    else:
        body = torch_body(model, max_history, opset, ALL_SCORES)
    graph = _append_top_k(body, opset)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def _item_to_item_body(model: ItemToItem, max_history: int, opset: int) -> onnx.ModelProto:
    """Each item of the history adds its neighbours' similarities, the newest counting most, to a share of
    the popular list. Unused places of the neighbour table hold PADDING with similarity 0."""
    padding_row = ((0, 1), (0, 0))
    recency = model.decay ** np.arange(max_history - 1, -1, -1)
    return _body(
        ITEM_TO_ITEM,
        max_history,
        opset,
        neighbours=np.pad(model.neighbours, padding_row, constant_values=PADDING).astype(np.int32),
        similarities=np.pad(model.similarities, padding_row).astype(np.float32),
        recency=recency.astype(np.float32)[None, :, None],
        popular=_with_padding_column(model.share * model.popularity),
    )


def _body(text: str, max_history: int, opset: int, **initializers: np.ndarray) -> onnx.ModelProto:
    return _parse(text.replace("MAX_HISTORY", str(max_history)), opset, **initializers)


def _parse(text: str, opset: int, **initializers: np.ndarray) -> onnx.ModelProto:
    model = parser.parse_model(f'<ir_version: {IR_VERSION}, opset_import: ["" : {opset}]>{text}')
    model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in initializers.items())
    return model


def _with_padding_column(scores: np.ndarray) -> np.ndarray:
    return np.append(scores, 0).astype(np.float32)[None, :]


def _append_top_k(body: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    top_k = compose.add_prefix(_parse(TOP_K, opset), "top_k/", rename_inputs=False, rename_outputs=False)
    body.ir_version = top_k.ir_version
    return compose.merge_models(body, top_k, io_map=[(ALL_SCORES, ALL_SCORES)])
