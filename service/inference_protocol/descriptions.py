"""What the service says of itself and of its one model in the words of the protocol."""

from contracts.artifact import Tensor
from contracts.encoding import PADDING
from contracts.graph import graph_inputs, graph_outputs
from service.inference_protocol.paths import CATALOG
from service.inference_protocol.tensors import DATATYPES, Form
from service.rollout import Serving

EXTENSIONS = ("binary_tensor_data", "model_configuration")
PLATFORM = "onnx_onnxv1"
_TRITON_PLATFORM = "onnxruntime_onnx"


def server_metadata(version: str) -> dict:
    return {"name": "flyweight", "version": version, "extensions": list(EXTENSIONS)}


def model_metadata(serving: Serving, max_batch: int) -> dict:
    model, manifest, form = serving.model, serving.artifact.manifest, Form.of(serving, max_batch)
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORM,
        "inputs": [_described(tensor) for tensor in graph_inputs(manifest.max_history)],
        "outputs": [_described(tensor) for tensor in graph_outputs()],
        "parameters": {
            "variant": model.variant,
            "items": manifest.items,
            "max_history": manifest.max_history,
            "padding": PADDING,
            "max_batch": max_batch,
            "max_k": form.most_k,
            "repeat_policy": manifest.repeat_policy,
            "catalog": CATALOG.format(model=model.name, version=model.version),
        },
    }


def model_config(serving: Serving) -> dict:
    """As Triton words it. `max_batch_size` is 0 there where shapes name the batch themselves."""
    inputs, outputs = graph_inputs(serving.artifact.manifest.max_history), graph_outputs()
    return {
        "name": serving.model.name,
        "platform": _TRITON_PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 0,
        "input": [_configured(tensor) for tensor in inputs],
        "output": [_configured(tensor) for tensor in outputs],
    }


def _described(tensor: Tensor) -> dict:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": _sizes(tensor)}


def _configured(tensor: Tensor) -> dict:
    return {"name": tensor.name, "data_type": f"TYPE_{DATATYPES[tensor.dtype]}", "dims": _sizes(tensor)}


def _sizes(tensor: Tensor) -> list[int]:
    """-1 where a size varies."""
    return [size if isinstance(size, int) else -1 for size in tensor.shape]
