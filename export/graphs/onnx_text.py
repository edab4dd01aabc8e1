"""Graphs written as ONNX text."""

import numpy as np
import onnx
from onnx import compose, numpy_helper, parser

IR_VERSION = 10


def parse(text: str, opset: int, *domains: str, **initializers: np.ndarray) -> onnx.ModelProto:
    """A graph from its text, with the arrays that the text leaves open. `domains` are those of operators that are
    not ONNX's own."""
    others = "".join(f', "{domain}" : 1' for domain in domains)
    model = parser.parse_model(f'<ir_version: {IR_VERSION}, opset_import: ["" : {opset}{others}]>{text}')
    model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in initializers.items())
    return model


def piece(text: str, opset: int, *domains: str, **initializers: np.ndarray) -> onnx.ModelProto:
    """A piece of a graph, as `parse` reads it. What is named within it gets its name in front, so that pieces can
    be joined; inputs, outputs and tables that the text leaves open keep theirs."""
    model = parse(text, opset, *domains, **initializers)
    return compose.add_prefix(model, f"{model.graph.name}/", rename_inputs=False, rename_outputs=False)
