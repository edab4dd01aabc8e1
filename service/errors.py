"""What goes wrong over HTTP, sorted by who is at fault, and its one translation into an answer.

    HttpError
    ├── ClientError              the request is wrong; the same request will fail again
    │   ├── InvalidRequest 400   `field` names the part that is wrong, where there is one
    │   │   └── NothingAccepted 400  of a list of events, none is right
    │   ├── Unauthorized 401     carries WWW-Authenticate
    │   ├── Forbidden 403
    │   ├── NotFound 404
    │   ├── MethodNotAllowed 405
    │   ├── BodyTimeout 408
    │   ├── BodyTooLarge 413
    │   ├── UnsupportedMediaType 415
    │   └── HeadTooLarge 431
    └── ServerError              the request is fine; it may succeed later
        ├── InternalError 500    a bug of ours; its traceback is in the log
        ├── Overloaded 429       carries Retry-After
        ├── Stopping 503         carries Retry-After
        ├── EventsUnavailable 503  carries Retry-After
        └── Expired 504          the answer, not the body, took too long

Every body is `{"error": {"code", "message", "field"}, "request_id"}`; `field` is null where none is meant.
"""

import msgspec


class HttpError(Exception):
    status = 500
    code = "internal_error"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    more: dict[str, object] = {}  # noqa: RUF012  (never changed)
    """What the body says beside the error."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class ClientError(HttpError):
    pass


class InvalidRequest(ClientError):
    """The request is not HTTP/1.1, or its body or a header is not what is expected; `field` says where."""

    status, code = 400, "invalid_request"


class NothingAccepted(InvalidRequest):
    """Every event of the call is wrong; `rejected` says what is, for each."""

    code = "no_valid_event"

    def __init__(self, message: str, rejected: list) -> None:
        super().__init__(message, "events")
        self.more = {"accepted": 0, "duplicates": 0, "rejected": rejected}


class Unauthorized(ClientError):
    """No key came with the request, or none that holds."""

    status, code = 401, "unauthorized"
    headers = ((b"www-authenticate", b"Bearer"),)


class Forbidden(ClientError):
    """The key that came with the request is not for this."""

    status, code = 403, "forbidden"


class NotFound(ClientError):
    """There is nothing at this path."""

    status, code = 404, "not_found"


class MethodNotAllowed(ClientError):
    """The path takes another method."""

    status, code = 405, "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.headers = ((b"allow", allowed.encode()),)


class BodyTimeout(ClientError):
    """The body, or the head before it, was not received in time."""

    status, code = 408, "body_timeout"
    headers = ((b"connection", b"close"),)


class BodyTooLarge(ClientError):
    """The body has more bytes than allowed.

    The connection stays, for who still sends would find it closed before reading this; what comes is thrown away.
    """

    status, code = 413, "body_too_large"


class UnsupportedMediaType(ClientError):
    """The body is not announced as application/json."""

    status, code = 415, "unsupported_media_type"


class HeadTooLarge(ClientError):
    """Request line and headers have more bytes than allowed."""

    status, code = 431, "head_too_large"


class ServerError(HttpError):
    pass


class InternalError(ServerError):
    """A fault of the service."""

    def __init__(self) -> None:
        super().__init__("this request failed by a fault of the service; see its log")


class Overloaded(ServerError):
    """Too many requests are in this worker already, or one more would be answered too late."""

    status, code = 429, "overloaded"
    headers = ((b"retry-after", b"1"),)


class Stopping(ServerError):
    """The service is stopping."""

    status, code = 503, "stopping"
    headers = ((b"retry-after", b"1"),)


class EventsUnavailable(ServerError):
    """Redis does not take events: it is away, or full."""

    status, code = 503, "events_unavailable"
    headers = ((b"retry-after", b"1"),)


class Expired(ServerError):
    """The answer took longer than the service allows."""

    status, code = 504, "expired"


ERRORS: tuple[type[HttpError], ...] = (
    InvalidRequest, NothingAccepted, Unauthorized, Forbidden, NotFound, MethodNotAllowed, BodyTimeout,
    BodyTooLarge, UnsupportedMediaType, HeadTooLarge, Overloaded, InternalError, Stopping, EventsUnavailable,
    Expired,
)  # fmt: skip
"""Every error that a route can answer, in the order of the API's description."""


def error_body(error: HttpError, request_id: str) -> bytes:
    """The JSON body of an error answer."""
    described = {"code": error.code, "message": error.message, "field": error.field}
    return msgspec.json.encode({"error": described, "request_id": request_id, **error.more})
