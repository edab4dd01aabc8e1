"""Reading a graph that somebody brought along: what it takes and gives, or in what it is not what can be served.

    history   int32 or int64  [batch, length]   item indices, newest last, -1 on the left where there are fewer
    k         int64           [1]               if it wants to know: how many items
    excluded  int32 or int64  [batch, m]        if it leaves items out by itself: item indices, -1 where fewer

    scores    a float type    [batch, items]    alone: of every item
    items, scores             [batch, k]        or of the best, best first

`length` may be fixed or vary, `batch` must vary.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
from onnx import TensorProto, inliner

from contracts.faults import UsageFault
from contracts.graph import EXCLUDED, HISTORY, ITEMS, SCORES, K

LEAST_OPSET = 15
MOST_BYTES = 2_000_000_000
"""One file holds the graph with its weights, and the format ends here."""

MOST_HISTORY = 1000
PAGE = "docs/your-model.md shows graphs that fit."

_INTEGERS = (TensorProto.INT32, TensorProto.INT64)
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)

Form = Literal["all scores", "some items", "k items", "k items without the excluded"]


@dataclass(frozen=True)
class Signature:
    """How a graph answers. `length` is that of its history where it is fixed; `dtypes` are those of its inputs."""

    form: Form
    length: int | None
    dtypes: dict[str, int]


def read_graph(path: Path) -> onnx.ModelProto:
    """The graph at `path` with its weights inside, checked, its functions inlined. Raises `UsageFault`."""
    try:
        model = onnx.load_model(path)
        size = model.ByteSize()
        if size > MOST_BYTES:
            raise UsageFault(
                f"{path} holds {size / 1e9:.1f} GB with its weights, expected at most {MOST_BYTES / 1e9:.0f} GB: "
                "an artifact has one file for both. Store the weights in fewer bytes."
            )
        model = inliner.inline_local_functions(model)
        onnx.checker.check_model(model)
    except UsageFault:
        raise
    except Exception as error:  # protobuf, the checker and missing weights have no common base class
        raise UsageFault(
            f"{path} cannot be read as an ONNX graph: {error}. Expected one file, with files of weights beside it "
            "where it names such. Export the model again."
        ) from error
    opset = opset_of(model)
    if opset < LEAST_OPSET:
        raise UsageFault(
            f"{path} has opset {opset}, expected {LEAST_OPSET} or later. Export the model again with a later one."
        )
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """Of plain ONNX; 0 where the graph uses none of it."""
    return next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), 0)


def signature_of(model: onnx.ModelProto) -> Signature:
    """Raises `UsageFault` that says what was found, what is expected, and what to do."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in weights}
    outputs = {value.name: value for value in model.graph.output}
    form = _form(set(inputs), set(outputs))
    if form is None:
        raise UsageFault(
            f"the graph has the inputs {_show(inputs)} and the outputs {_show(outputs)}, expected the input "
            f"{HISTORY} alone, with {K}, or with {K} and {EXCLUDED}, and the outputs {ITEMS} and {SCORES}; or "
            f"{HISTORY} alone and {SCORES} of every item. Rename them, and leave out what else there is. {PAGE}"
        )
    for name in inputs:
        _expect(inputs[name], (TensorProto.INT64,) if name == K else _INTEGERS, 1 if name == K else 2)
    for name in outputs:
        _expect(outputs[name], _INTEGERS if name == ITEMS else _FLOATS, 2)
    dimensions = inputs[HISTORY].type.tensor_type.shape.dim
    if dimensions[0].HasField("dim_value"):
        raise UsageFault(
            f"{_show_one(inputs[HISTORY])}: found a batch of fixed size, expected one that varies. Export the "
            "model with a dynamic first axis, whatever that is called in its library."
        )
    length = dimensions[1].dim_value if dimensions[1].HasField("dim_value") else None
    if length is not None and not 1 <= length <= MOST_HISTORY:
        raise UsageFault(f"{_show_one(inputs[HISTORY])}: expected a history of 1 to {MOST_HISTORY} items.")
    return Signature(form, length, {name: inputs[name].type.tensor_type.elem_type for name in inputs})


def _form(inputs: set[str], outputs: set[str]) -> Form | None:
    if outputs == {SCORES}:
        return "all scores" if inputs == {HISTORY} else None
    if outputs != {ITEMS, SCORES}:
        return None
    forms: dict[frozenset[str], Form] = {
        frozenset({HISTORY}): "some items",
        frozenset({HISTORY, K}): "k items",
        frozenset({HISTORY, K, EXCLUDED}): "k items without the excluded",
    }
    return forms.get(frozenset(inputs))


def _expect(value: onnx.ValueInfoProto, dtypes: tuple[int, ...], rank: int) -> None:
    tensor = value.type.tensor_type
    if tensor.elem_type not in dtypes:
        allowed = " or ".join(TensorProto.DataType.Name(dtype).lower() for dtype in dtypes)
        raise UsageFault(f"{_show_one(value)}: expected {allowed}. Put a Cast into the graph. {PAGE}")
    if (value.name == HISTORY or tensor.HasField("shape")) and len(tensor.shape.dim) != rank:
        raise UsageFault(f"{_show_one(value)}: expected {rank} dimension{'s'[: rank - 1]}. {PAGE}")


def _show(values: dict[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(map(_show_one, values.values())) or "none"


def _show_one(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    sizes = ", ".join(
        dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?") for dim in tensor.shape.dim
    )
    return f"{value.name} {TensorProto.DataType.Name(tensor.elem_type).lower()} [{sizes}]"
