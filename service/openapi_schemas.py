"""What the API's description says of bodies: as JSON Schema, with the limits that the code checks."""

from contracts.encoding import REPEAT_POLICIES
from contracts.interaction import MAX_ID_LENGTH
from contracts.reasons import Reason, Source
from service.errors import ERRORS
from service.event_intake import EARLIEST_MS, MAX_EVENTS, MAX_POSITION, REJECTIONS
from service.inference_protocol.openapi import protocol_schemas
from service.prediction import DEFAULT_K, MAX_EXCLUDED, MAX_HISTORY_IDS, MAX_K


def ref(schema: str) -> dict:
    """Where another body is described."""
    return {"$ref": f"#/components/schemas/{schema}"}


def schemas() -> dict:
    return {
        "Id": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH},
        "PredictRequest": _request_schema(),
        "Answer": _answer_schema(),
        "EventsRequest": _events_schema(),
        "Recorded": _recorded_schema(),
        "Forgetting": object_of(request_id={"type": "string"}, had_history={"type": "boolean"}),
        "Status": _status_schema(),
        "Error": _error_schema(),
        **protocol_schemas(),
    }


def _request_schema() -> dict:
    ids = {"type": "array", "items": ref("Id")}
    return {
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["user_id"]}, {"required": ["history"]}],
        "properties": {
            "user_id": ref("Id"),
            "history": ids
            | {"maxItems": MAX_HISTORY_IDS, "description": "Item ids, newest last. Wins over user_id."},
            "k": {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K},
            "exclude": ids | {"maxItems": MAX_EXCLUDED, "description": "Item ids never to answer."},
            "seen": {
                "type": "string",
                "enum": list(REPEAT_POLICIES),
                "description": "What happens to seen items; default: the artifact's repeat policy.",
            },
        },
    }


def _answer_schema() -> dict:
    item = object_of(item_id=ref("Id"), score={"type": "number"})
    text = {"type": "string"}
    return object_of(
        request_id=text,
        items={"type": "array", "items": item, "maxItems": MAX_K},
        model=object_of(name=text, variant=text, version={"type": "string", "pattern": "^[0-9a-f]{12}$"}),
        source={"type": "string", "enum": [source.value for source in Source]},
        reason={"type": "string", "enum": [reason.value for reason in Reason]},
        degraded={"type": "boolean", "description": "Whether a fault weakened the answer."},
    )


def _events_schema() -> dict:
    moment = {
        "oneOf": [{"type": "integer", "minimum": EARLIEST_MS}, {"type": "string", "format": "date-time"}],
        "description": "Milliseconds since 1970, or RFC 3339 with its offset; at most 5 minutes ahead.",
    }
    event = object_of(event_id=ref("Id"), type=ref("Id"), user_id=ref("Id"), item_id=ref("Id"), timestamp=moment)
    event["properties"] |= {
        "request_id": ref("Id") | {"description": "Of the answer that it answers."},
        "position": {"type": "integer", "minimum": 1, "maximum": MAX_POSITION, "description": "In that answer."},
        "value": {"type": "number"},
    }
    events = {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": event}
    return object_of(events=events) | {"additionalProperties": False}


def _recorded_schema() -> dict:
    count = {"type": "integer", "minimum": 0}
    text = {"type": "string"}
    rejected = object_of(index=count, code=text | {"enum": list(REJECTIONS)}, message=text)
    return object_of(
        request_id=text, accepted=count, duplicates=count, rejected={"type": "array", "items": rejected}
    )


def _status_schema() -> dict:
    states = ["up"] + [r.removeprefix("feature_cache_") for r in Reason if r.startswith("feature_cache_")]
    return object_of(
        artifact={"type": "object"},
        features=object_of(
            state={"type": "string", "enum": states}, breaker={"type": "string", "enum": ["open", "closed"]}
        ),
        degraded={"type": "boolean"},
        workers={"type": "integer", "minimum": 1},
        shortcut={"type": "boolean", "description": "Whether /predict takes the shortcut."},
        versions={"type": "object", "additionalProperties": {"type": "string"}},
    )


def _error_schema() -> dict:
    described = object_of(
        code={"type": "string", "enum": [error.code for error in ERRORS]},
        message={"type": "string"},
        field={"type": ["string", "null"], "description": "The part of the request that is wrong."},
    )
    return object_of(error=described, request_id={"type": "string"})


def object_of(**properties: dict) -> dict:
    return {"type": "object", "properties": properties, "required": list(properties)}
