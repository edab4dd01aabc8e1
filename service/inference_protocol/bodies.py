"""The JSON of an inference request: what stands where, unknown fields refused. What it means: requests.py."""

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.interaction import MAX_ID_LENGTH
from service.errors import InvalidRequest
from service.prediction import explain, has_other_keys

MAX_DIMENSIONS = 8
MAX_TENSORS = 16

Text = Annotated[str, Meta(max_length=MAX_ID_LENGTH)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_UNKNOWN = re.compile(
    r"Object contains unknown field `(?P<name>.*?)`"
    r"(?: - at `\$\.(?P<place>parameters|(?:inputs|outputs)\[\d+\](?:\.parameters)?)`)?",
    re.DOTALL,
)
"""Only a place that there is: the client's name of a field may look like one."""


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    pass


class RequestParameters(_Strict):
    binary_data_output: bool | UnsetType = UNSET


class InputParameters(_Strict):
    binary_data_size: Count | UnsetType = UNSET


class OutputParameters(_Strict):
    binary_data: bool | UnsetType = UNSET


class InputTensor(_Strict):
    name: Text
    shape: Annotated[list[Count], Meta(max_length=MAX_DIMENSIONS)]
    datatype: Text
    parameters: InputParameters | UnsetType = UNSET
    data: msgspec.Raw | UnsetType = UNSET

    @property
    def has_data(self) -> bool:
        """KServe's client sends null for raw numbers of which there are none."""
        return self.data is not UNSET and bytes(self.data) != b"null"

    @property
    def size_behind(self) -> int | UnsetType:
        """Bytes of it behind the JSON."""
        return UNSET if self.parameters is UNSET else self.parameters.binary_data_size


class RequestedOutput(_Strict):
    name: Text
    parameters: OutputParameters | UnsetType = UNSET


class InferRequest(_Strict):
    """The JSON of POST .../infer."""

    inputs: Annotated[list[InputTensor], Meta(max_length=MAX_TENSORS)]
    id: Text | UnsetType = UNSET
    model_name: Text | UnsetType = UNSET
    parameters: RequestParameters | UnsetType = UNSET
    outputs: Annotated[list[RequestedOutput], Meta(max_length=MAX_TENSORS)] | UnsetType = UNSET


_STRUCTS = {
    "": InferRequest, "parameters": RequestParameters, "inputs": InputTensor, "inputs.parameters": InputParameters,
    "outputs": RequestedOutput, "outputs.parameters": OutputParameters,
}  # fmt: skip


_DECODER = msgspec.json.Decoder(InferRequest)


def decode_request(json: bytes) -> InferRequest:
    """Raises `InvalidRequest`. Numbers are not decoded yet, nor are keys counted."""
    try:
        request = _DECODER.decode(json)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not valid UTF-8; expected JSON in UTF-8") from None
    except RecursionError:
        raise InvalidRequest(
            "the body is nested too deeply; expected data that are numbers, or lists of them"
        ) from None
    except msgspec.DecodeError as error:
        found = "is empty" if not json else f"is not valid JSON: {error}"
        raise InvalidRequest(f'the body {found}; expected an object such as {{"inputs": []}}') from None
    return request


def has_duplicate_keys(json: bytes, found: InferRequest) -> bool:
    """Once every `data` in it is known to be numbers."""
    return has_other_keys(json, _count_keys(found))


def _count_keys(found: msgspec.Struct) -> int:
    values = [getattr(found, name) for name in found.__struct_fields__]
    nested = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
    below = sum(_count_keys(inner) for inner in nested if isinstance(inner, msgspec.Struct))
    return below + sum(value is not UNSET for value in values)


def _explain(problem: str) -> InvalidRequest:
    if unknown := _UNKNOWN.fullmatch(problem):
        place = unknown["place"] or ""
        known = _STRUCTS[re.sub(r"\[\d+\]", "", place)].__struct_fields__
        where = f"{place}: " if place else ""
        name = unknown["name"][:MAX_ID_LENGTH]
        return InvalidRequest(f"{where}unknown field {name!r}; expected some of {', '.join(known)}")
    return explain(problem, InferRequest)
