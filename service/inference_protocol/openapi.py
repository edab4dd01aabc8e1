"""The paths of the protocol in the API's description. Limits are the ones that the code checks."""

import re
from collections.abc import Callable

from contracts.graph import EXCLUDED, HISTORY, K
from contracts.interaction import MAX_ID_LENGTH
from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    Expired,
    HeadTooLarge,
    HttpError,
    InternalError,
    InvalidRequest,
    NotFound,
    Overloaded,
    Stopping,
    Unauthorized,
    UnsupportedMediaType,
)
from service.inference_protocol.bodies import MAX_DIMENSIONS, MAX_TENSORS
from service.inference_protocol.paths import CATALOG, INDEX, LIVE, MODEL, MODELS, PATHS, READY, SERVER, VERSION
from service.inference_protocol.requests import HEADER_LENGTH, OUTPUTS
from service.inference_protocol.tensors import DATATYPES

_INFER_EXAMPLE = {
    "inputs": [
        {"name": "history", "shape": [1, 4], "datatype": "INT32", "data": [-1, -1, 0, 3]},
        {"name": "excluded", "shape": [1, 2], "datatype": "INT32", "data": [0, 3]},
        {"name": "k", "shape": [1], "datatype": "INT64", "data": [3]},
    ]
}
_SUMMARIES = {
    SERVER: ("v2_server", "What serves, and which extensions of the protocol it knows"),
    LIVE: ("v2_live", "Whether the process lives"),
    READY: ("v2_ready", "Whether to send requests here"),
    MODELS: ("v2_models", "The one model that serves"),
    INDEX: ("v2_index", "The same, with its version"),
    MODEL: ("v2_model", "Inputs and outputs of the model"),
    MODEL + "/ready": ("v2_model_ready", "Whether the model serves"),
    MODEL + "/config": ("v2_model_config", "The model in Triton's words"),
    MODEL + "/infer": ("v2_infer", "Item indices and scores for encoded histories"),
    CATALOG: ("v2_catalog", "Item ids in index order, a page of them"),
}
_EARLY = (InvalidRequest, BodyTimeout, HeadTooLarge)
"""Said before the path is known, so in the shape of all other routes."""

_ALWAYS = (*_EARLY, Unauthorized, InternalError, Expired)
_INFER_ERRORS = (*_ALWAYS, NotFound, BodyTooLarge, UnsupportedMediaType, Overloaded, Stopping)


def protocol_paths(request_id: dict, security: list[dict], headers: Callable[..., dict]) -> dict[str, dict]:
    """`request_id`, `security`: as on other routes; `headers(*names)`: references to those that an answer has."""
    described = {}
    for path, method in PATHS.items():
        name, summary = _summary(path)
        end = path.rpartition("/")[2]
        operation = {
            "operationId": name,
            "summary": summary,
            "parameters": [*_parameters(path), request_id],
            "responses": {"200": _answer(path, end, headers), **_errors(path, end)},
        }
        if path not in (LIVE, READY):
            operation["security"] = security
        if end == "infer":
            operation["parameters"].append(_HEADER_LENGTH)
            operation["requestBody"] = _INFER_BODY
        described[path] = {method.lower(): operation}
    return described


def _summary(path: str) -> tuple[str, str]:
    if path in _SUMMARIES:
        return _SUMMARIES[path]
    name, summary = _SUMMARIES[path.replace("/versions/{version}", "")]
    return name + "_of_version", summary + ", if it has this version"


def _parameters(path: str) -> list[dict]:
    names = re.findall(r"\{(\w+)\}", path)
    found = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return [*found, _FIRST] if path == CATALOG else found


def _answer(path: str, end: str, headers: Callable[..., dict]) -> dict:
    schema = {"$ref": f"#/components/schemas/{_answer_schema(path, end)}"}
    answer = {"description": _summary(path)[1], "content": {"application/json": {"schema": schema}}}
    answer["headers"] = headers("X-Request-Id")
    if end == "infer":
        answer["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        answer["headers"] |= {HEADER_LENGTH: {"description": "Bytes of JSON.", "schema": {"type": "string"}}}
    if end in ("infer", "catalog"):
        answer["headers"] |= headers("X-Model-Version", "X-Variant")
    return answer


def _answer_schema(path: str, end: str) -> str:
    ends = {"infer": "InferAnswer", "catalog": "CatalogPage", "config": "ModelConfig", "index": "ModelIndex"}
    if path in (MODEL, VERSION):
        return "ModelMetadata"
    return ends.get(end, "ProtocolAnswer")


def _errors(path: str, end: str) -> dict[str, dict]:
    if path == LIVE:
        errors = (*_EARLY, InternalError, Expired)
    elif path == READY:
        errors = (*_EARLY, InternalError, Expired, Stopping)
    elif end == "infer":
        errors = _INFER_ERRORS
    else:
        errors = (*_ALWAYS, NotFound) if "{model}" in path else _ALWAYS
    return {str(error.status): _error(error) for error in errors}


def _error(error: type[HttpError]) -> dict:
    schema = {"$ref": "#/components/schemas/ProtocolError"}
    if error in _EARLY:
        schema = {"anyOf": [schema, {"$ref": "#/components/schemas/Error"}]}
    response = {
        "description": (error.__doc__ or error.code).partition("\n")[0],
        "content": {"application/json": {"schema": schema}},
    }
    if any(name == b"retry-after" for name, _ in error.headers):
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return response


_FIRST = {
    "name": "first",
    "in": "query",
    "description": "The item index to begin with.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "default": 0},
}
_HEADER_LENGTH = {
    "name": HEADER_LENGTH,
    "in": "header",
    "description": "Bytes of JSON at the start of the body, where raw tensors follow it.",
    "schema": {"type": "integer", "minimum": 0},
}
_INFER_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/InferRequest"},
            "example": _INFER_EXAMPLE,
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


def protocol_schemas() -> dict[str, dict]:
    """What the paths refer to."""
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    tensor = _object(
        {"name": text, "datatype": _datatype(), "shape": {"type": "array", "items": {"type": "integer"}}}
    )
    output = tensor | {"properties": tensor["properties"] | {
        "parameters": _object({"binary_data_size": count}),
        "data": {"type": "array", "items": {"type": "number"}, "description": "Row by row."},
    }}  # fmt: skip
    answer = {"model_name": text, "model_version": text, "outputs": {"type": "array", "items": output}}
    page = {"model_name": text, "model_version": text, "items": count, "first": count}
    metadata = {"name": text, "versions": {"type": "array", "items": text}, "platform": text}
    tensors = {"type": "array", "items": tensor}
    index = _object({"name": text, "version": text, "state": text, "reason": text})
    return {
        "InferRequest": _request_schema(),
        "InferAnswer": _with(_object(answer), id=text),
        "CatalogPage": _object(page | {"item_ids": {"type": "array", "items": text}}),
        "ModelMetadata": _object(
            metadata | {"inputs": tensors, "outputs": tensors, "parameters": {"type": "object"}}
        ),
        "ModelConfig": {"type": "object"},
        "ModelIndex": {"type": "array", "items": index},
        "ProtocolAnswer": {"type": "object"},
        "ProtocolError": _object({"error": text}),
    }


def _request_schema() -> dict:
    text = {"type": "string", "maxLength": MAX_ID_LENGTH}
    size = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    number = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    data = {"type": "array", "items": {"anyOf": [number, {"type": "array", "items": number}]}}
    shape = {"type": "array", "items": size, "maxItems": MAX_DIMENSIONS}
    input_tensor = _closed(
        {"name": {"enum": [HISTORY, EXCLUDED, K]}, "shape": shape, "datatype": {"enum": ["INT32", "INT64"]}},
        parameters=_closed({}, binary_data_size=size),
        data={"anyOf": [data, {"type": "null"}]},
    )
    output = _closed({"name": {"enum": list(OUTPUTS)}}, parameters=_closed({}, binary_data={"type": "boolean"}))
    return _closed(
        {"inputs": {"type": "array", "items": input_tensor, "maxItems": MAX_TENSORS}},
        id=text,
        model_name=text | {"description": "As in the path."},
        parameters=_closed({}, binary_data_output={"type": "boolean"}),
        outputs={"type": "array", "items": output, "maxItems": MAX_TENSORS},
    )


def _datatype() -> dict:
    return {"type": "string", "enum": list(DATATYPES.values())}


def _object(required: dict[str, dict]) -> dict:
    return {"type": "object", "properties": required, "required": list(required)}


def _with(schema: dict, **optional: dict) -> dict:
    return schema | {"properties": schema["properties"] | optional}


def _closed(required: dict[str, dict], **optional: dict) -> dict:
    return _with(_object(required), **optional) | {"additionalProperties": False}
