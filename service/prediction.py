"""What /predict takes and gives: the request, checked strictly, and the answer."""

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.encoding import REPEAT_POLICIES, RepeatPolicy
from contracts.interaction import MAX_ID_LENGTH
from contracts.reasons import Reason, Source
from service.errors import InvalidRequest

DEFAULT_K = 10
MAX_K = 500
MAX_EXCLUDED = 1000
MAX_HISTORY_IDS = 1000
DEADLINE = "X-Deadline-Ms"

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]

_LONGEST_PROBLEM = 200
"""Of what was found, this many characters are said: enough to know it by."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')  # runs, not characters: a body of 1 MB holds up the worker
_MANY_DIGITS = 16  # more than 4300 are no int
_PLACE = re.compile(r"^(?P<problem>.*) - at `\$\.?(?P<field>[^`]*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of POST /predict. `history` wins when `user_id` comes too."""

    user_id: Id | UnsetType = UNSET
    history: Annotated[list[Id], Meta(max_length=MAX_HISTORY_IDS)] | UnsetType = UNSET
    k: Annotated[int, Meta(ge=1, le=MAX_K)] | UnsetType = UNSET
    exclude: Annotated[list[Id], Meta(max_length=MAX_EXCLUDED)] | UnsetType = UNSET
    seen: RepeatPolicy | UnsetType = UNSET


class Item(msgspec.Struct, gc=False):
    item_id: str
    score: float


class Model(msgspec.Struct, frozen=True):
    name: str
    variant: str
    version: str


class Answer(msgspec.Struct, gc=False):
    """The body of a 200 from POST /predict."""

    request_id: str
    items: list[Item]
    model: Model
    source: Source
    reason: Reason
    degraded: bool


_DECODER = msgspec.json.Decoder(PredictRequest)


def parse_predict(body: bytes) -> PredictRequest:
    """Check a body. Raises `InvalidRequest` that names the field, what was found and what is allowed."""
    try:
        request = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise explain(str(error), PredictRequest) from None
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not valid UTF-8; expected JSON in UTF-8") from None
    except msgspec.DecodeError as error:
        found = "is empty" if not body else f"is not valid JSON: {error}"
        raise InvalidRequest(f'the body {found}; expected an object such as {{"user_id": "u1"}}') from None
    if has_duplicate_keys(body, request):
        raise InvalidRequest("a key stands twice in the body; expected each key once")
    if request.user_id is UNSET and request.history is UNSET:
        raise InvalidRequest("the body has neither user_id nor history; expected one of them", "user_id")
    return request


def parse_deadline_ms(given: bytes, longest_ms: int) -> int:
    """Check the header X-Deadline-Ms; what is longer than `longest_ms` is cut to it. Raises `InvalidRequest`."""
    given = given.strip(b" \t")  # the parser leaves what stands behind
    digits = given.lstrip(b"0")
    if not (given.isdigit() and digits):
        found = given[:MAX_ID_LENGTH].decode("latin-1")
        raise InvalidRequest(f"{DEADLINE} is {found!r}; expected milliseconds, a whole number from 1 up", DEADLINE)
    return min(int(digits), longest_ms) if len(digits) < _MANY_DIGITS else longest_ms


def has_duplicate_keys(body: bytes, found: msgspec.Struct) -> bool:
    """The decoder silently takes the last of two equal keys.

    But it lets known keys with flat values pass only, so there is one colon outside strings per key.
    """
    return has_other_keys(body, sum(getattr(found, name) is not UNSET for name in found.__struct_fields__))


def has_other_keys(body: bytes, keys: int) -> bool:
    """Whether the objects in a body have another number of keys altogether."""
    return body.count(b":") != keys and _STRING.sub(b"", body).count(b":") != keys


def explain(problem: str, expected: type[msgspec.Struct]) -> InvalidRequest:
    """Our words for the decoder's: `Expected `int` <= 500 - at `$.k``."""
    if unknown := _UNKNOWN.fullmatch(problem):  # first: the client's name of it may look like a place
        known = ", ".join(expected.__struct_fields__)
        name = unknown["field"][:MAX_ID_LENGTH]
        return InvalidRequest(f"unknown field {name!r}; expected some of {known}", name)
    if place := _PLACE.match(problem):
        field = place["field"] or None
        allowed = f"; expected one of {', '.join(REPEAT_POLICIES)}" if field == "seen" else ""
        return InvalidRequest(f"{field or 'the body'}: {_in_short(place['problem'])}{allowed}", field)
    return InvalidRequest(f"the body: {_in_short(problem)}")


def _in_short(problem: str) -> str:
    rest = "…" if len(problem) > _LONGEST_PROBLEM else ""
    return problem[:1].lower() + problem[1:_LONGEST_PROBLEM] + rest
