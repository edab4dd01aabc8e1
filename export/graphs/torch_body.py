"""From a torch module to the body of a graph. Nothing else in this room knows torch."""

import logging
import warnings

import onnx
import torch
from torch import nn

from contracts.encoding import PADDING
from contracts.graph import HISTORY

_EXAMPLE_BATCH = 3
"""Any size but 1, which the exporter would take for a constant."""


def torch_body(module: nn.Module, max_history: int, opset: int, output: str) -> onnx.ModelProto:
    """The graph of `module.forward`: history int32 [batch, max_history] -> float32 [batch, items + 1].

    The batch varies, the history's length does not. Weights lie inside the model, not beside it.
    """
    example = torch.full((_EXAMPLE_BATCH, max_history), PADDING, dtype=torch.int32)
    example[:, -1] = torch.arange(_EXAMPLE_BATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            input_names=[HISTORY],
            output_names=[output],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=opset,
            verbose=False,
        )
    model = program.model_proto
    _forget_where_it_came_from(model)
    return model


def _forget_where_it_came_from(model: onnx.ModelProto) -> None:
    """Drop names of files and lines from the model: the same weights must give the same bytes anywhere."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
