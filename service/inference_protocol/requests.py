"""An inference request, checked strictly: JSON, and behind it raw tensors where the client likes that better.

The second is Triton's extension `binary_tensor_data`: the header Inference-Header-Content-Length says how long the
JSON is, and each tensor how many bytes of what follows are its numbers, little-endian, row by row.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from contracts.artifact import Tensor
from contracts.graph import ITEMS, SCORES
from contracts.interaction import MAX_ID_LENGTH
from service.errors import InvalidRequest
from service.inference_protocol.bodies import InferRequest, InputTensor, decode_request, has_duplicate_keys
from service.inference_protocol.tensors import DATATYPES, Form, check_together, type_of

HEADER_LENGTH = "Inference-Header-Content-Length"
OUTPUTS = (ITEMS, SCORES)

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

_MAX_DIGITS = 15
_DATA_PLACE = re.compile(r"^(?P<problem>.*) - at `\$(?P<place>[^`]*)`$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Inference:
    """What is asked: the inputs by name; `outputs` by name, and whether each shall come as raw bytes."""

    id: str | UnsetType
    inputs: dict[str, np.ndarray]
    outputs: dict[str, bool]


_NUMBERS = msgspec.json.Decoder(list[Number | list[Number]])


def parse_infer(body: bytes, json_bytes: bytes | None, form: Form) -> Inference:
    """Check a body; `json_bytes` is the value of Inference-Header-Content-Length.

    Raises `InvalidRequest`, which says what was found and what is allowed.
    """
    end = json_end = len(body) if json_bytes is None else _json_end(json_bytes, len(body))
    request = decode_request(body[:end])
    if request.model_name not in (UNSET, form.model_name):
        raise InvalidRequest(f"model_name is {request.model_name!r}; the path says {form.model_name}")
    inputs: dict[str, np.ndarray] = {}
    for number, tensor in enumerate(request.inputs):
        place = f"inputs[{number}]"
        expected = form.find(tensor.name, place)
        if tensor.name in inputs:
            raise InvalidRequest(f"{place}: {tensor.name} stands twice; expected each input once")
        if tensor.datatype != DATATYPES[expected.dtype]:
            raise InvalidRequest(
                f"input {tensor.name}: the datatype is {tensor.datatype!r}; expected {DATATYPES[expected.dtype]}"
            )
        form.check_shape(expected, tensor.shape)
        size = tensor.size_behind
        if size is UNSET:
            array = _read_json(tensor, place, form.max_batch)
        else:
            array = _read_raw(tensor, expected, body[end : end + size])
            end += size
        form.check_values(expected, array)
        inputs[tensor.name] = array.astype(type_of(expected), copy=False)
    if end != len(body):
        raise InvalidRequest(f"behind the tensors are {len(body) - end} more bytes; expected none")
    if has_duplicate_keys(body[:json_end], request):
        raise InvalidRequest("a key stands twice in the body; expected each key once")
    check_together(inputs, form)
    return Inference(request.id, inputs, _outputs(request))


def _json_end(given: bytes, length: int) -> int:
    if not given.isdigit() or len(given) > _MAX_DIGITS or int(given) > length:
        found = given[:MAX_ID_LENGTH].decode("latin-1")
        raise InvalidRequest(f"{HEADER_LENGTH} is {found!r}; expected bytes of the body, which has {length}")
    return int(given)


def _read_json(tensor: InputTensor, place: str, most_rows: int) -> np.ndarray:
    """Numbers in one list, row by row, or in a list of rows."""
    if not tensor.has_data:
        raise InvalidRequest(f"input {tensor.name}: there is no data; expected it, or parameters.binary_data_size")
    lists = bytes(tensor.data).count(b"[") - 1
    if lists > most_rows:  # before they are made: to make a body full of them holds up everybody
        raise InvalidRequest(
            f"{place}.data: there are {lists} lists; expected numbers alone, or one list for each of at most "
            f"{most_rows} rows"
        )
    try:
        numbers = _NUMBERS.decode(tensor.data)
    except msgspec.ValidationError as error:
        found = _DATA_PLACE.match(str(error))
        at, problem = (found["place"], found["problem"]) if found else ("", str(error))
        raise InvalidRequest(f"{place}.data{at}: {problem[:1].lower()}{problem[1:]}") from None
    rows = [number for number in numbers if isinstance(number, list)]
    if rows:
        widths = {len(row) for row in rows}
        if len(tensor.shape) != 2 or len(rows) != len(numbers) or widths != {tensor.shape[1]}:
            raise InvalidRequest(
                f"{place}.data: {_forms(numbers, widths)}; expected numbers alone, or one list for each row of "
                f"the shape {tensor.shape}"
            )
        numbers = [number for row in rows for number in row]
        found_rows = len(rows)
    else:
        found_rows = tensor.shape[0]
    if len(numbers) != (count := math.prod(tensor.shape)) or found_rows != tensor.shape[0]:
        raise InvalidRequest(
            f"{place}.data: there are {len(numbers)} numbers; the shape {tensor.shape} has {count}"
        )
    return np.array(numbers, dtype=np.int64).reshape(tensor.shape)


def _forms(numbers: list, widths: set[int]) -> str:
    lists = sum(isinstance(number, list) for number in numbers)
    if lists < len(numbers):
        return f"there are {lists} lists and {len(numbers) - lists} numbers side by side"
    return f"there are {lists} lists of {' to '.join(map(str, sorted({min(widths), max(widths)})))} numbers"


def _read_raw(tensor: InputTensor, expected: Tensor, raw: bytes) -> np.ndarray:
    size, dtype = tensor.size_behind, type_of(expected)
    if tensor.has_data:
        raise InvalidRequest(f"input {tensor.name}: there are data and binary_data_size; expected one of them")
    if size != (needed := math.prod(tensor.shape) * dtype.itemsize):
        raise InvalidRequest(
            f"input {tensor.name}: binary_data_size is {size}; {tensor.datatype} {tensor.shape} has {needed} bytes"
        )
    if len(raw) < size:
        raise InvalidRequest(
            f"input {tensor.name}: binary_data_size is {size}, but {len(raw)} bytes are left behind the JSON, "
            f"whose end {HEADER_LENGTH} says"
        )
    return np.frombuffer(raw, dtype).reshape(tensor.shape)


def _outputs(request: InferRequest) -> dict[str, bool]:
    """All of them where none is named."""
    usual = request.parameters is not UNSET and request.parameters.binary_data_output is True
    if request.outputs is UNSET or not request.outputs:
        return dict.fromkeys(OUTPUTS, usual)
    found: dict[str, bool] = {}
    for number, output in enumerate(request.outputs):
        if output.name not in OUTPUTS or output.name in found:
            problem = f"{output.name} stands twice" if output.name in found else f"there is no {output.name!r}"
            raise InvalidRequest(f"outputs[{number}]: {problem}; expected each once: {', '.join(OUTPUTS)}")
        told = UNSET if output.parameters is UNSET else output.parameters.binary_data
        found[output.name] = usual if told is UNSET else told
    return found
