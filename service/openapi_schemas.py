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
    """Each has a name of its own, for clients that are generated call their types so."""
    return {
        "Id": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH},
        "PredictRequest": {"anyOf": [ref("UserQuestion"), ref("HistoryQuestion")]},
        "UserQuestion": _question_schema("user_id"),
        "HistoryQuestion": _question_schema("history"),
        "RepeatPolicy": {"type": "string", "enum": list(REPEAT_POLICIES)},
        **_answer_schemas(),
        **_events_schemas(),
        "Forgetting": object_of(request_id={"type": "string"}, had_history={"type": "boolean"}),
        **_status_schemas(),
        **_error_schemas(),
        **protocol_schemas(),
    }


def _question_schema(required: str) -> dict:
    ids = {"type": "array", "items": ref("Id")}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [required],
        "properties": {
            "user_id": ref("Id"),
            "history": ids
            | {"maxItems": MAX_HISTORY_IDS, "description": "Item ids, newest last. Wins over user_id."},
            "k": {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K},
            "exclude": ids | {"maxItems": MAX_EXCLUDED, "description": "Item ids never to answer."},
            "seen": ref("RepeatPolicy")
            | {"description": "What happens to seen items; default: the artifact's repeat policy."},
        },
    }


def _answer_schemas() -> dict:
    text = {"type": "string"}
    return {
        "Item": object_of(item_id=ref("Id"), score={"type": "number"}),
        "Model": object_of(name=text, variant=text, version={"type": "string", "pattern": "^[0-9a-f]{12}$"}),
        "Source": {"type": "string", "enum": [source.value for source in Source]},
        "Reason": {"type": "string", "enum": [reason.value for reason in Reason]},
        "Answer": object_of(
            request_id=text,
            items={"type": "array", "items": ref("Item"), "maxItems": MAX_K},
            model=ref("Model"),
            source=ref("Source"),
            reason=ref("Reason"),
            degraded={"type": "boolean", "description": "Whether a fault weakened the answer."},
        ),
    }


def _events_schemas() -> dict:
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
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
    events = {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": ref("Event")}
    rejected = {"type": "array", "items": ref("Rejected")}
    return {
        "Event": event,
        "EventsRequest": object_of(events=events) | {"additionalProperties": False},
        "RejectionCode": {"type": "string", "enum": list(REJECTIONS)},
        "Rejected": object_of(index=count, code=ref("RejectionCode"), message=text),
        "Recorded": object_of(request_id=text, accepted=count, duplicates=count, rejected=rejected),
    }


def _status_schemas() -> dict:
    states = ["up"] + [r.removeprefix("feature_cache_") for r in Reason if r.startswith("feature_cache_")]
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    return {
        "ServingArtifact": object_of(
            name=text, variant=text, version=text, path=text, items=count, max_history=count,
            repeat_policy=ref("RepeatPolicy"), size_bytes=count,
        ),
        "FeaturesState": {"type": "string", "enum": states},
        "BreakerState": {"type": "string", "enum": ["open", "closed"]},
        "Features": object_of(state=ref("FeaturesState"), breaker=ref("BreakerState")),
        "LibraryVersions": {"type": "object", "additionalProperties": {"type": "string"}},
        "Status": object_of(
            artifact=ref("ServingArtifact"),
            features=ref("Features"),
            degraded={"type": "boolean"},
            workers={"type": "integer", "minimum": 1},
            shortcut={"type": "boolean", "description": "Whether /predict takes the shortcut."},
            versions=ref("LibraryVersions"),
        ),
    }  # fmt: skip


def _error_schemas() -> dict:
    return {
        "ErrorCode": {"type": "string", "enum": [error.code for error in ERRORS]},
        "ErrorDetail": object_of(
            code=ref("ErrorCode"),
            message={"type": "string"},
            field={"type": ["string", "null"], "description": "The part of the request that is wrong."},
        ),
        "Error": object_of(error=ref("ErrorDetail"), request_id={"type": "string"}),
    }


def object_of(**properties: dict) -> dict:
    return {"type": "object", "properties": properties, "required": list(properties)}
