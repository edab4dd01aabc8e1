"""From the graph that somebody brought along to the graph inside every artifact, see `contracts.graph`.

Nodes are put before it, so that it is asked as it wants to be, and behind it, so that what is excluded is never
answered and no answer is short:

    all scores   the shared top-k follows, as behind every rung
    k items      it is asked for as many more as are excluded; the shared top-k takes those out
    some items   likewise, and behind the items it names stand all others, the most popular first
    k items without the excluded   it does all of this itself
"""

from collections.abc import Callable, Iterable

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from contracts.artifact import Tensor
from contracts.graph import EXCLUDED, HISTORY, ITEMS, SCORES, K, graph_inputs, graph_outputs
from export.adopting.signature import Signature, opset_of
from export.graphs.graph import TOP_K
from export.graphs.onnx_text import IR_VERSION, parse

_OWN = {name: f"own_{name}" for name in (HISTORY, EXCLUDED, K, ITEMS, SCORES)}

_ASK = """
ask (int32[batch, length] history, int32[batch, m] excluded, int64[1] k)
  => (TYPE_OF_HISTORY[batch, length] own_history, TYPE_OF_EXCLUDED[batch, m] own_excluded, int64[1] own_k)
<int64[1] most = {ITEMS}>
{
  own_history = Cast <to = KIND_OF_HISTORY> (history)
  own_excluded = Cast <to = KIND_OF_EXCLUDED> (excluded)
  more = Shape <start = 1, end = 2> (excluded)
  wanted = Add (k, more)
  own_k = Min (wanted, most)
}
"""

_ALL_SCORES = """
all (float[batch, items] own_scores) => (float[batch, columns] all_scores)
<int64[1] one = {1}, float[1] lowest = {-inf}>
{
  as_float = Cast <to = 1> (own_scores)
  batch = Shape <start = 0, end = 1> (own_scores)
  shape = Concat <axis = 0> (batch, one)
  padding_column = Expand (lowest, shape)
  all_scores = Concat <axis = 1> (as_float, padding_column)
}
"""

_K_ITEMS = """
some (int64[batch, own_k] own_items, float[batch, own_k] own_scores) => (float[batch, columns] all_scores)
<int64[1] columns = {COLUMNS}, float[1] lowest = {-inf}>
{
  as_float = Cast <to = 1> (own_scores)
  as_indices = Cast <to = 7> (own_items)
  batch = Shape <start = 0, end = 1> (own_scores)
  shape = Concat <axis = 0> (batch, columns)
  nothing = Expand (lowest, shape)
  all_scores = ScatterElements <axis = 1> (nothing, as_indices, as_float)
}
"""

_SOME_ITEMS = """
some (int64[batch, own_k] own_items, float[batch, own_k] own_scores) => (float[batch, columns] all_scores)
<int64[1] last = {-1}, float[1] floor = {-1.0e30}>
{
  as_float = Cast <to = 1> (own_scores)
  as_indices = Cast <to = 7> (own_items)
  worst = Gather <axis = 1> (as_float, last)
  least = Max (worst, floor)
  others = Sub (least, places_behind)
  all_scores = ScatterElements <axis = 1> (others, as_indices, as_float)
}
"""

_AS_IT_IS = """
same (int64[batch, own_k] own_items, float[batch, own_k] own_scores)
  => (int64[batch, answers] items, float[batch, answers] scores)
{
  items = Cast <to = 7> (own_items)
  scores = Cast <to = 1> (own_scores)
}
"""


def wrap(own: onnx.ModelProto, signature: Signature, max_history: int, popular: np.ndarray) -> onnx.ModelProto:
    """The graph `own` over a catalog of which `popular` is every item index, most popular first."""
    opset, items = opset_of(own), len(popular)
    asking = _ASK.replace("ITEMS", str(items))
    for name in (HISTORY, EXCLUDED):
        kind = signature.dtypes.get(name, TensorProto.INT32)
        asking = asking.replace(f"TYPE_OF_{name.upper()}", TensorProto.DataType.Name(kind).lower())
        asking = asking.replace(f"KIND_OF_{name.upper()}", str(kind))
    if signature.form == "k items without the excluded":
        asking = asking.replace("own_k = Min (wanted, most)", "own_k = Min (k, most)")
    before = _prefixed(parse(asking, opset), "ask/")
    behind = [_prefixed(part, f"answer{i}/") for i, part in enumerate(_behind(signature, popular, opset))]
    parts = [before.graph, _with_own_names(own.graph, signature), *(part.graph for part in behind)]
    graph = helper.make_graph(
        [node for part in parts for node in part.node],
        "adopted",
        _described(graph_inputs(max_history)),
        _described(graph_outputs()),
        [tensor for part in parts for tensor in part.initializer],
        sparse_initializer=[tensor for part in parts for tensor in part.sparse_initializer],
    )
    return helper.make_model(graph, opset_imports=own.opset_import, ir_version=max(own.ir_version, IR_VERSION))


def _behind(signature: Signature, popular: np.ndarray, opset: int) -> list[onnx.ModelProto]:
    if signature.form == "k items without the excluded":
        return [parse(_AS_IT_IS, opset)]
    if signature.form == "all scores":
        body = parse(_ALL_SCORES, opset)
    elif signature.form == "k items":
        body = parse(_K_ITEMS.replace("COLUMNS", str(len(popular) + 1)), opset)
    else:
        places = np.zeros((1, len(popular) + 1), dtype=np.float32)
        places[0, popular] = np.arange(1, len(popular) + 1)
        body = parse(_SOME_ITEMS, opset, places_behind=places)
    return [body, parse(TOP_K, opset)]


def _prefixed(part: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    return compose.add_prefix(part, prefix, rename_inputs=False, rename_outputs=False)


def _with_own_names(graph: onnx.GraphProto, signature: Signature) -> onnx.GraphProto:
    """A copy in which the tensors of the contract have names of their own, so that nodes may stand in between, and
    all others a prefix: many a graph calls its keys `k`."""
    outputs = {SCORES} if signature.form == "all scores" else {SCORES, ITEMS}
    between = {name: _OWN[name] for name in {*signature.dtypes, *outputs}}
    renamed = onnx.GraphProto()
    renamed.CopyFrom(graph)
    _rename(renamed, lambda name: between.get(name) or (name and f"own/{name}"))  # no name: an input left out
    return renamed


def _rename(graph: onnx.GraphProto, new: Callable[[str], str]) -> None:
    for node in graph.node:
        node.input[:] = map(new, node.input)
        node.output[:] = map(new, node.output)
        for attribute in node.attribute:  # branches and loops see the names around them
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _rename(inner, new)
    weights = (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer))
    for value in (*graph.input, *graph.output, *graph.value_info, *weights):
        value.name = new(value.name)


def _described(tensors: Iterable[Tensor]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(t.name, helper.np_dtype_to_tensor_dtype(np.dtype(t.dtype)), t.shape)
        for t in tensors
    ]
