"""What each call sends, and how its answer is read. Pure: no connection, no clock."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from flyweight.client.errors import (
    FlyweightError,
    InvalidRequest,
    KeyRefused,
    NotUnderstood,
    NoValidEvent,
    Overloaded,
    RequestError,
    ServiceError,
    Unavailable,
)
from flyweight.client.messages import Answer, Event, Forgetting, Recorded, Rejected, Status

Seen = Literal["mask", "keep", "drop-last", "first"]
"""What happens to items that the user has seen; without it the artifact's own policy holds."""

Result = TypeVar("Result")

_FOR_THE_WAY_MS = 5
"""The service is told to be done this much before the deadline: its answer has to travel."""

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_MOST_SAID = 200  # characters of a foreign answer


@dataclass(frozen=True)
class Heard:
    """One whole answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Call(Generic[Result]):
    """`read` takes an answer whose status is among `answers`. `knows_deadline`: its route takes X-Deadline-Ms."""

    method: str
    path: str
    request_id: str
    read: Callable[[Heard], Result]
    body: bytes | None = None
    answers: frozenset[int] = frozenset({200})
    knows_deadline: bool = False

    def headers(self, left_s: float) -> dict[str, str]:
        """Those of an attempt that has `left_s` seconds."""
        headers = {"x-request-id": self.request_id}
        if self.body is not None:
            headers["content-type"] = "application/json"
        if self.knows_deadline:
            headers["x-deadline-ms"] = str(max(1, int(left_s * 1000) - _FOR_THE_WAY_MS))
        return headers


def predict(
    user_id: str | None,
    history: Sequence[str] | None,
    k: int | None,
    exclude: Sequence[str] | None,
    seen: Seen | None,
    request_id: str | None,
) -> Call[Answer]:
    given = {"user_id": user_id, "history": history, "k": k, "exclude": exclude, "seen": seen}
    body = msgspec.json.encode({name: value for name, value in given.items() if value is not None})
    return Call("POST", "/predict", _request_id(request_id), _read_answer, body=body, knows_deadline=True)


def record(events: Sequence[Event], request_id: str | None) -> Call[Recorded]:
    body = msgspec.json.encode({"events": events})
    return Call("POST", "/events", _request_id(request_id), _read_recorded, body=body, answers=frozenset({202}))


def forget(user_id: str, request_id: str | None) -> Call[Forgetting]:
    path = "/users/" + quote(user_id, safe="").replace(".", "%2E")  # "." and ".." are ids here, no way up
    return Call("DELETE", path, _request_id(request_id), _read_forgetting, answers=frozenset({202}))


def status() -> Call[Status]:
    return Call("GET", "/status", _request_id(None), _read_status)


def ready() -> Call[bool]:
    return Call(
        "GET", "/readyz", _request_id(None), lambda heard: heard.status == 200, answers=frozenset({200, 503})
    )


def error_of(heard: Heard, request_id: str) -> FlyweightError:
    """The error that an answer stands for, in the service's words where it has some."""
    try:
        said = _ERROR.decode(heard.body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a proxy's, perhaps
        text = heard.body[:_MOST_SAID].decode(errors="replace").strip()
        said = _Error(_Said(f"http_{heard.status}", text or "the answer says nothing more"), request_id)
    return _kind_of(heard.status, said.error.code)(
        said.error.message,
        code=said.error.code,
        status=heard.status,
        field=said.error.field,
        request_id=said.request_id,
        retry_after_s=_retry_after_s(heard.headers.get("retry-after", "")),
        rejected=said.rejected,
    )


class _Said(msgspec.Struct):
    code: str
    message: str
    field: str | None = None


class _Error(msgspec.Struct):
    error: _Said
    request_id: str
    rejected: tuple[Rejected, ...] = ()


_ERROR = msgspec.json.Decoder(_Error)
_KINDS = {400: InvalidRequest, 401: KeyRefused, 403: KeyRefused, 429: Overloaded, 503: Unavailable}


def _kind_of(status: int, code: str) -> type[FlyweightError]:
    if code == "no_valid_event":
        return NoValidEvent
    if status < 400:
        return NotUnderstood
    return _KINDS.get(status) or (RequestError if status < 500 else ServiceError)


def _retry_after_s(given: str) -> float | None:
    """The header is seconds or, from some proxies, a date."""
    if re.fullmatch(r"[0-9]{1,9}", given):
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _reader_of(expected: type[Result]) -> Callable[[Heard], Result]:
    decoder = msgspec.json.Decoder(expected)

    def read(heard: Heard) -> Result:
        try:
            return decoder.decode(heard.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotUnderstood(
                f"found what is no answer of a Flyweight service ({error}); is there another one at this URL?",
                status=heard.status,
            ) from error

    return read


_read_answer = _reader_of(Answer)
_read_recorded = _reader_of(Recorded)
_read_forgetting = _reader_of(Forgetting)
_read_status = _reader_of(Status)


def _request_id(given: str | None) -> str:
    """One for all attempts of a call, so that what never was answered can be found as well."""
    if given is None:
        return os.urandom(8).hex()
    if not _REQUEST_ID.fullmatch(given):
        raise InvalidRequest(f"found {given!r}, expected 1 to 128 visible ASCII characters", field="request_id")
    return given
