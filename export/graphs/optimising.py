"""onnxruntime's offline optimisation, at the level that any processor and runtime can load."""

from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime as ort
from onnx import helper

from contracts import durable
from export.graphs.outline import Outline
from export.graphs.sessions import session_options

_LARGER = 1.01
"""Folding constants must not unfold what was stored folded: a graph may grow by its names, not by tables."""


def optimise(outline: Outline, place: Path) -> Outline:
    """The same function with fewer nodes; the same bytes every time.

    Level basic: what it writes is plain ONNX. Constants are folded unless that makes the file larger.
    The runtime only writes to a file: it stands beside `place` for a moment.
    """
    query = None if outline.query is None else _smaller(outline.query, place)
    return replace(outline, model=_smaller(outline.model, place), query=query)


def _smaller(model: onnx.ModelProto, place: Path) -> onnx.ModelProto:
    best = _optimise(model, place, ())
    if best.ByteSize() > _LARGER * model.ByteSize() + 4096:
        best = _optimise(model, place, ("ConstantFolding",))
    onnx.checker.check_model(best, full_check=True)
    return best


def _optimise(model: onnx.ModelProto, place: Path, without: tuple[str, ...]) -> onnx.ModelProto:
    with durable.draft_directory(place) as folder:
        before, after = folder / "before.onnx", folder / "after.onnx"
        onnx.save_model(model, before)
        options = session_options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(after)
        ort.InferenceSession(
            str(before), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(without)
        )
        found = onnx.load_model(after)
    graph = helper.make_graph(
        found.graph.node, model.graph.name, model.graph.input, model.graph.output, found.graph.initializer
    )
    opsets = {opset.domain: opset for opset in model.opset_import}  # the runtime lists every one it knows
    return helper.make_model(graph, opset_imports=opsets.values(), ir_version=model.ir_version)
