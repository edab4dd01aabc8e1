"""The API's description, OpenAPI 3.1, written by hand: what BentoML makes of a mounted app is empty."""

from functools import cache

from service.docs_page import FILES
from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    EventsUnavailable,
    Expired,
    Forbidden,
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
from service.inference_protocol.openapi import protocol_paths
from service.openapi_schemas import ref, schemas
from service.prediction import DEADLINE

API_VERSION = "0.1.0"

_EXAMPLES = {
    "known-user": {"summary": "A user whom the feature cache knows", "value": {"user_id": "u1", "k": 3}},
    "anonymous": {
        "summary": "A visitor without a name, by what they looked at",
        "value": {"history": ["i17", "i4"], "k": 3, "exclude": ["i9"], "seen": "mask"},
    },
}
_ANSWER_EXAMPLE = {
    "request_id": "7f1c0a9be2d14c55",
    "items": [{"item_id": "i5", "score": 3.25}, {"item_id": "i2", "score": 2.5}],
    "model": {"name": "sasrec", "variant": "fp32", "version": "0123456789ab"},
    "source": "model",
    "reason": "ok",
    "degraded": False,
}
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "Asked for where the operator has set keys. What answers 403 takes an admin key only.",
}
_WITH_KEY: list[dict] = [{}, {"key": []}]
"""Where no keys are set, everyone may ask."""

_PREDICT_ERRORS = (
    InvalidRequest, Unauthorized, BodyTimeout, BodyTooLarge, UnsupportedMediaType, HeadTooLarge, Overloaded,
    InternalError, Stopping, Expired,
)  # fmt: skip
_EVENTS_EXAMPLE = {
    "events": [
        {
            "event_id": "e-1", "type": "click", "user_id": "u1", "item_id": "i5",
            "timestamp": "2026-11-21T12:00:00Z", "request_id": "7f1c0a9be2d14c55", "position": 1,
        }
    ]
}  # fmt: skip
_EVENTS_ERRORS = (
    InvalidRequest, Unauthorized, Forbidden, BodyTimeout, BodyTooLarge, UnsupportedMediaType, HeadTooLarge,
    Overloaded, InternalError, EventsUnavailable, Expired,
)  # fmt: skip
_FORGET_ERRORS = (
    InvalidRequest, Unauthorized, Forbidden, BodyTimeout, HeadTooLarge, InternalError, EventsUnavailable, Expired,
)  # fmt: skip
_ANYWHERE = (InvalidRequest, BodyTimeout, HeadTooLarge)
"""What is said before the route is known."""


@cache
def openapi_document() -> dict:
    """The whole document. Its limits are the ones that the code checks."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flyweight",
            "version": API_VERSION,
            "summary": "What next for this user? Every answer says where it comes from and why.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/predict": {"post": _predict()},
            "/events": {"post": _events()},
            "/users/{user_id}": {"delete": _forget()},
            **{path: {"get": _get(path)} for path in _PAGES},
            "/docs/{file}": {"get": _docs_file()},
            **protocol_paths(_REQUEST_ID, _WITH_KEY, _header_refs),
        },
        "components": {"schemas": schemas(), "headers": _headers(), "securitySchemes": {"key": _KEY}},
    }


def _predict() -> dict:
    return {
        "operationId": "predict",
        "tags": ["recommendations"],
        "security": _WITH_KEY,
        "summary": "The best items for a user or an anonymous history",
        "parameters": [_REQUEST_ID, _DEADLINE],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("PredictRequest"), "examples": _EXAMPLES}},
        },
        "responses": {
            "200": {
                "description": "Items, best first; fewer than k only when fewer remain.",
                "headers": _header_refs("X-Request-Id", "X-Model-Version", "X-Variant"),
                "content": {"application/json": {"schema": ref("Answer"), "example": _ANSWER_EXAMPLE}},
            },
            **{str(error.status): _error_response(error) for error in _PREDICT_ERRORS},
        },
    }


def _events() -> dict:
    return {
        "operationId": "events",
        "tags": ["users"],
        "security": _WITH_KEY,
        "summary": "What users did; it is part of their very next answer",
        "parameters": [_REQUEST_ID],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("EventsRequest"), "example": _EVENTS_EXAMPLE}},
        },
        "responses": {
            "202": {
                "description": "What was recorded, and what is wrong with the rest. A duplicate changes nothing.",
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                "content": {"application/json": {"schema": ref("Recorded")}},
            },
            **{str(error.status): _error_response(error) for error in _EVENTS_ERRORS},
        },
    }


def _forget() -> dict:
    return {
        "operationId": "forget",
        "tags": ["users"],
        "security": _WITH_KEY,
        "summary": "Forget a user: the history at once, events and the log with the next `flyweight ingest`",
        "parameters": [
            {"name": "user_id", "in": "path", "required": True, "schema": ref("Id")},
            _REQUEST_ID,
        ],
        "responses": {
            "202": {
                "description": "The history is gone, and the stream says that nothing older may stay.",
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                "content": {"application/json": {"schema": ref("Forgetting")}},
            },
            **{str(error.status): _error_response(error) for error in _FORGET_ERRORS},
        },
    }


_PAGES = {
    "/status": ("status", "Artifact, features and versions of the worker that answers", "application/json"),
    "/metrics": ("metrics", "Metrics of all workers for Prometheus", "text/plain"),
    "/openapi.json": ("openapi", "This document", "application/json"),
    "/docs": ("docs", "This document for people, in a browser", "text/html"),
    "/": ("index", "What serves here, and the routes there are", "text/plain"),
    "/livez": ("livez", "Whether the process lives", "text/plain"),
    "/readyz": ("readyz", "Whether to send requests here: the model is loaded, and nobody stops it", "text/plain"),
    "/healthz": ("healthz", "The same as /livez", "text/plain"),
}


def _get(path: str) -> dict:
    name, summary, media_type = _PAGES[path]
    schema = {"type": "object"} if media_type == "application/json" else {"type": "string"}
    if name == "status":
        schema = ref("Status")
    responses = {"200": {"description": summary, "content": {media_type: {"schema": schema}}}}
    responses |= {str(error.status): _error_response(error) for error in _ANYWHERE}
    if name in ("readyz",):
        responses["503"] = {"description": "Not ready: the model is not loaded, or the service is stopping."}
    described = {"operationId": name, "tags": ["service"], "summary": summary, "responses": responses}
    if name == "docs":  # open to everybody
        responses |= {str(InternalError.status): _error_response(InternalError)}
    elif name not in ("livez", "readyz", "healthz"):  # these are BentoML's
        described["security"] = _WITH_KEY
        errors = (Unauthorized, InternalError, Expired)
        responses |= {str(error.status): _error_response(error) for error in errors}
    return described


def _docs_file() -> dict:
    """Of no use to anything but the page; here, because every route is."""
    styles = scripts = {"schema": {"type": "string"}}
    return {
        "operationId": "docs_file",
        "tags": ["service"],
        "summary": "A part of the page at /docs",
        "parameters": [
            {"name": "file", "in": "path", "required": True, "schema": {"type": "string", "enum": list(FILES)}}
        ],
        "responses": {
            "200": {
                "description": "The file.",
                "content": {"text/css": styles, "text/javascript": scripts},
            },
            **{str(error.status): _error_response(error) for error in (*_ANYWHERE, NotFound, InternalError)},
        },
    }


def _error_response(error: type[HttpError]) -> dict:
    response = {
        "description": (error.__doc__ or error.code).partition("\n")[0],
        "content": {"application/json": {"schema": ref("Error")}},
    }
    if any(name == b"retry-after" for name, _ in error.headers):
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return response


_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Comes back in the answer. Anything but 1 to 128 printable ASCII characters is replaced.",
    "schema": {"type": "string"},
}

_DEADLINE = {
    "name": DEADLINE,
    "in": "header",
    "description": "Milliseconds that the client will wait, where that is less than the service's own deadline.",
    "schema": {"type": "integer", "minimum": 1},
}


def _header_refs(*names: str) -> dict:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers() -> dict:
    described = {
        "X-Request-Id": "The client's id of this request, or one of ours.",
        "X-Model-Version": "First 12 hex digits of the sha256 of the artifact's manifest.",
        "X-Variant": "The artifact's variant, as in fp32.",
        "Retry-After": "Seconds to wait before the next try.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}
