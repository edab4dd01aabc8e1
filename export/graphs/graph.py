"""One ONNX graph per model: a body of its own (history -> score of every item), then the shared top-k.

Item index `items` (the row and column after the last item) stands for PADDING; the top-k never answers it.
"""

import numpy as np
import onnx
from onnx import compose

from contracts.graph import HISTORY
from export.graphs.counting import (
    ITEM_TO_ITEM,
    POPULARITY,
    item_to_item_arrays,
    popularity_arrays,
)
from export.graphs.onnx_text import parse, piece
from export.graphs.outline import Outline, inlined, outlined
from export.graphs.scoring import Scoring, exact_body, joined, scoring_of
from export.graphs.vmis_knn import VMIS_KNN, vmis_tables
from models.ladder import Model
from models.rungs.blend import LEAST, Blend
from models.rungs.ease import Ease
from models.rungs.item_to_item import ItemToItem
from models.rungs.mean_of_items import MeanOfItems
from models.rungs.popularity import Popularity

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

BLEND = f"""
blend (float[batch, columns] network_scores, float[batch, columns] neighbour_scores)
  => (float[batch, columns] {ALL_SCORES})
<float least = {{{LEAST}}}>
{{
  probabilities = Softmax <axis = 1> (network_scores)
  votes = Mul (neighbour_scores, share)
  either = Add (probabilities, votes)
  positive = Add (either, least)
  {ALL_SCORES} = Log (positive)
}}
"""


def graph_of(model: Model | MeanOfItems, max_history: int, opset: int) -> onnx.ModelProto:
    """The whole graph of a trained model in one piece, as `contracts.graph` describes it."""
    return inlined(outline_of(model, max_history, opset))


def outline_of(
    model: Model | MeanOfItems, max_history: int, opset: int, scoring: Scoring | None = None
) -> Outline:
    """The same with its large tables beside it. `scoring` is that of the model, where it is at hand."""
    scoring = scoring or scoring_of(model, max_history, opset)
    body = exact_body(scoring, opset) if scoring else outlined(_body_of(model, max_history, opset))
    whole = joined([body.model, top_k(opset)])
    onnx.checker.check_model(whole, full_check=True)
    return Outline(whole, body.tables)


def top_k(opset: int) -> onnx.ModelProto:
    return piece(TOP_K, opset)


def _body_of(model: Model, max_history: int, opset: int) -> onnx.ModelProto:
    if isinstance(model, Blend):
        return _blend_body(model, max_history, opset)
    if scoring := scoring_of(model, max_history, opset):
        return inlined(exact_body(scoring, opset))
    if isinstance(model, Popularity):
        text, arrays = POPULARITY, popularity_arrays(model)
    elif isinstance(model, ItemToItem):
        text, arrays = ITEM_TO_ITEM, item_to_item_arrays(model, max_history)
    elif isinstance(model, Ease):
        text, arrays = ITEM_TO_ITEM, item_to_item_arrays(model.table, max_history)
    else:
        text, arrays = VMIS_KNN, vmis_tables(model, max_history)
    return parse(text.replace("MAX_HISTORY", str(max_history)), opset, **arrays)


def _blend_body(model: Blend, max_history: int, opset: int) -> onnx.ModelProto:
    """Both bodies side by side on the same history, then the blend of their scores."""
    body = parse(BLEND, opset, share=np.float32([model.share]))
    parts = {"network_scores": model.network, "neighbour_scores": model.neighbours}
    nodes, initializers = [], []
    for name, part in parts.items():
        own = compose.add_prefix(_body_of(part, max_history, opset), f"{name}/", rename_inputs=False)
        nodes += own.graph.node
        initializers += own.graph.initializer
        for node in own.graph.node:
            node.output[:] = [name if output == f"{name}/{ALL_SCORES}" else output for output in node.output]
        history = own.graph.input
        assert [value.name for value in history] == [HISTORY]
    nodes += body.graph.node
    del body.graph.node[:], body.graph.input[:]
    body.graph.node.extend(nodes)
    body.graph.initializer.extend(initializers)
    body.graph.input.extend(history)
    return body
