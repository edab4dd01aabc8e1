"""Graphs written as ONNX text."""

import numpy as np
import onnx
from onnx import numpy_helper, parser

IR_VERSION = 10


def parse(text: str, opset: int, **initializers: np.ndarray) -> onnx.ModelProto:
    """A graph from its text, with the arrays that the text leaves open."""
    model = parser.parse_model(f'<ir_version: {IR_VERSION}, opset_import: ["" : {opset}]>{text}')
    model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in initializers.items())
    return model
