"""From a torch network to the graph of its encoder. Nothing else in this room knows torch."""

import logging
import warnings

import onnx
import torch
from onnx import compose
from torch import Tensor, nn

from contracts.encoding import PADDING
from contracts.graph import HISTORY
from models.rungs.sasrec import Sasrec

_EXAMPLE_BATCH = 3
"""Any size but 1, which the exporter would take for a constant."""


class _Encoder(nn.Module):
    """The network without its item table: what the newest position makes of the rows of a history."""

    def __init__(self, network: Sasrec) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, history: Tensor) -> Tensor:
        network = self.network
        return network.transform(rows, history == PADDING, last_only=network.last_only)[:, -1]


def torch_encoder(network: Sasrec, max_history: int, opset: int) -> onnx.ModelProto:
    """rows float32 [batch, max_history, d], history int32 [batch, max_history] -> query float32 [batch, d].

    The batch varies, the history's length does not. Its nodes and weights are named `encoder/...`.
    """
    history = torch.full((_EXAMPLE_BATCH, max_history), PADDING, dtype=torch.int32)
    history[:, -1] = torch.arange(_EXAMPLE_BATCH)
    rows = torch.zeros(_EXAMPLE_BATCH, max_history, network.positions.shape[1])
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _Encoder(network.eval()),
            (rows, history),
            dynamo=True,
            input_names=["rows", HISTORY],
            output_names=["query"],
            dynamic_shapes=({0: batch}, {0: batch}),
            opset_version=opset,
            verbose=False,
        )
    model = program.model_proto
    _forget_where_it_came_from(model)
    return compose.add_prefix(model, "encoder/", rename_inputs=False, rename_outputs=False)


def _forget_where_it_came_from(model: onnx.ModelProto) -> None:
    """Drop names of files and lines from the model: the same weights must give the same bytes anywhere."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
