"""What is said of an inference: its outputs as JSON, or raw behind it; and errors in the protocol's shape."""

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from contracts.artifact import Tensor
from contracts.graph import graph_outputs
from service.errors import HttpError
from service.exchange import Reply
from service.inference_protocol.requests import HEADER_LENGTH, Inference
from service.inference_protocol.tensors import DATATYPES, type_of
from service.rollout import Serving

OCTETS = b"application/octet-stream"

_OUTPUTS = {tensor.name: tensor for tensor in graph_outputs()}
_ENCODER = msgspec.json.Encoder()


class RawSize(msgspec.Struct, gc=False):
    binary_data_size: int


class OutputTensor(msgspec.Struct, gc=False):
    name: str
    datatype: str
    shape: list[int]
    parameters: RawSize | UnsetType = UNSET
    data: list | UnsetType = UNSET


class InferAnswer(msgspec.Struct, gc=False):
    """The JSON of a 200 from POST .../infer."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | UnsetType = UNSET


def infer_reply(inference: Inference, found: dict[str, np.ndarray], serving: Serving) -> Reply:
    """`found`: every output of the graph by name."""
    described, behind = [], []
    for name, is_raw in inference.outputs.items():
        tensor, array = _OUTPUTS[name], found[name]
        output = OutputTensor(name, DATATYPES[tensor.dtype], list(array.shape))
        if is_raw:
            behind.append(np.ascontiguousarray(array, type_of(tensor)).tobytes())
            output.parameters = RawSize(len(behind[-1]))
        else:
            output.data = _numbers(tensor, array)
        described.append(output)
    model = serving.model
    json = _ENCODER.encode(InferAnswer(model.name, model.version, described, inference.id))
    if not behind:
        return Reply(json, headers=serving.headers)
    length = (HEADER_LENGTH.lower().encode(), str(len(json)).encode())
    return Reply(b"".join([json, *behind]), OCTETS, (*serving.headers, length))


def _numbers(tensor: Tensor, array: np.ndarray) -> list:
    """JSON has no infinity: the score of what was excluded is there the least that its type can say."""
    if tensor.dtype == "float32":
        array = np.where(np.isfinite(array), array, np.finfo(np.float32).min)
    return array.ravel().tolist()


def error_in_protocol(error: HttpError, request_id: str) -> Reply:
    """The request id is in its header only: an error of the protocol is a text and nothing else."""
    return Reply(_ENCODER.encode({"error": error.message}), headers=error.headers)
