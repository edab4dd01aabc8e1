"""One HTTP exchange of ours: request id, body, the answer or the error in its one shape, and its count."""

import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from starlette.types import Receive, Scope, Send

from service import telemetry
from service.api_keys import Gate
from service.deadlines import Deadline, Overdue
from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    HttpError,
    InternalError,
    Overloaded,
    UnsupportedMediaType,
    error_body,
)
from service.overload import Overload

if TYPE_CHECKING:
    from service.recommender import Recommendation
    from service.spans import Spans

_LOG = logging.getLogger(__name__)
_LONGEST_TYPE = 100  # that is said back
_MAX_LENGTH_DIGITS = 15  # more are absurd, and more than 4300 no int
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")

JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"


@dataclass(slots=True)
class Reply:
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200


class ClientGone(Exception):
    """The client closed the connection; there is nobody to answer."""


class Exchange:
    """What a route sees of a request."""

    __slots__ = ("_receive", "asked", "found", "headers", "received", "request_id", "scope", "started")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.started = self.received = self.asked = perf_counter()
        self.found: Recommendation | None = None  # /predict alone finds one
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self.headers.get(b"x-request-id"))
        self._receive = receive

    async def read_json(self, *, max_bytes: int, deadline: Deadline) -> bytes:
        """The whole body, not parsed. Raises 408, 413 or 415."""
        if (announced_type := self.headers.get(b"content-type")) != JSON:
            check_media_type(announced_type or b"", (JSON,))
        return await self.read_body(max_bytes=max_bytes, deadline=deadline)

    async def read_body(self, *, max_bytes: int, deadline: Deadline) -> bytes:
        """The same, whatever it is announced as."""
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and (len(announced) > _MAX_LENGTH_DIGITS or int(announced) > max_bytes):
            raise _too_large(max_bytes)
        try:
            return await deadline.wait(self._read(max_bytes))
        except Overdue:
            raise BodyTimeout(f"the body was not received within {deadline.seconds:g} s") from None

    async def _read(self, max_bytes: int) -> bytes:
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            if len(body) > max_bytes:  # also where no Content-Length announced it
                raise _too_large(max_bytes)
            if not message.get("more_body"):
                return body


class Host(Protocol):
    """What an endpoint tells of the requests that it answered; a `Worker` is one."""

    overload: Overload
    traces: "Spans | None"

    def variant(self) -> str: ...


class Endpoint:
    """An ASGI application for one route: whatever happens, one answer and one count."""

    def __init__(
        self,
        route: str,
        answer: Callable[[Exchange], Awaitable[Reply]],
        host: Host,
        gate: Gate | None = None,
        as_reply: Callable[[HttpError, str], Reply] | None = None,
    ) -> None:
        """`route` and `host.variant()` are labels of metrics, so they come from closed lists. `gate` stands before
        `answer`, which reads the body. `as_reply`: how errors are said, where that is not our one shape."""
        self._route = route
        self._answer = answer
        self._host = host
        self._gate = gate
        self._as_reply = as_reply or error_reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive)
        try:
            if self._gate is not None:
                self._gate(exchange.headers.get(b"authorization"))
            reply = await self._answer(exchange)
            status = reply.status
        except ClientGone:
            return
        except HttpError as error:
            status, reply = error.status, self._as_reply(error, exchange.request_id)
            if isinstance(error, Overloaded):
                self._host.overload.note(self._route, exchange.request_id)
            log_failure(error, self._route, exchange.request_id)
        except Exception:
            told = {"request_id": exchange.request_id}
            _LOG.exception("a request for %s failed", self._route, extra=told)
            status, reply = InternalError.status, self._as_reply(InternalError(), exchange.request_id)
        await _send(send, status, reply, exchange.request_id)
        telemetry.count_request(self._route, self._host.variant(), status, exchange.started)
        if self._host.traces is not None:
            self._host.traces.record(self._route, exchange, status)


def log_failure(error: HttpError, route: str, request_id: str) -> None:
    """A line for an answer that is our fault, 500 and above; what a client does wrong is none."""
    if error.status >= InternalError.status:
        told = {"request_id": request_id, "cause": (route, error.code)}
        _LOG.error("%s answered %d %s: %s", route, error.status, error.code, error.message, extra=told)


def error_reply(error: HttpError, request_id: str) -> Reply:
    return Reply(error_body(error, request_id), headers=error.headers)


async def _send(send: Send, status: int, reply: Reply, request_id: str) -> None:
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", str(len(reply.body)).encode()),
        (b"x-request-id", request_id.encode()),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def request_id_of(given: bytes | None) -> str:
    """The client's own where it is short and printable, else a new one."""
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()


def check_media_type(announced: bytes, allowed: Sequence[bytes]) -> None:
    """Raises `UnsupportedMediaType`; parameters such as a charset are passed over."""
    media_type = announced.partition(b";")[0].strip().lower()
    if media_type not in allowed:
        found = media_type[:_LONGEST_TYPE].decode("latin-1") or "none"
        expected = " or ".join(each.decode() for each in allowed if each)
        raise UnsupportedMediaType(f"Content-Type is {found}; expected {expected}")


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has more than {max_bytes} bytes, the limit")
