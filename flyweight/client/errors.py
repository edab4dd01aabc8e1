"""What goes wrong when a service is asked, sorted by who is at fault.

    FlyweightError
    ├── RequestError          the request is wrong; the same one will fail again
    │   ├── InvalidRequest    400: `field` names the part that is wrong, where there is one
    │   │   └── NoValidEvent  400: of the events, none is right; `rejected` says what is wrong with each
    │   └── KeyRefused        401, 403: no key, one that does not hold, or one that may not do this
    ├── ServiceError          the request is fine; it may succeed later (500, 504)
    │   ├── Overloaded        429: `retry_after_s` says when to come back
    │   └── Unavailable       503: the service is stopping, or cannot record events; likewise
    └── NoAnswer              nothing came back: what was asked for may have been done all the same
        ├── Unreachable       nobody takes the connection; this one was certainly not done
        ├── ConnectionLost    it was closed before the answer had come
        ├── DeadlinePassed    the answer did not come in time
        └── NotUnderstood     what came is no answer of this service

The client tries again by itself, within the deadline, where `is_worth_retrying`.
"""

from typing import ClassVar

from flyweight.client.messages import Rejected


class FlyweightError(Exception):
    """`code` is the service's (docs/http.md), or the client's own word where the service said nothing. `status` is
    None where there was no answer, `field` where no part of the request is at fault."""

    is_worth_retrying: ClassVar[bool] = False
    own_code: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        field: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        rejected: tuple[Rejected, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.own_code
        self.status = status
        self.field = field
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.rejected = rejected

    def __str__(self) -> str:
        shown = f"{self.status} {self.code}" if self.status else self.code
        return f"{shown}: {self.message}" + (f" (request {self.request_id})" if self.request_id else "")


class RequestError(FlyweightError):
    """The request is wrong; the same one will fail again."""


class InvalidRequest(RequestError):
    own_code = "invalid_request"


class NoValidEvent(InvalidRequest):
    pass


class KeyRefused(RequestError):
    pass


class ServiceError(FlyweightError):
    """The request is fine; it may succeed later."""


class Overloaded(ServiceError):
    is_worth_retrying = True


class Unavailable(ServiceError):
    is_worth_retrying = True


class NoAnswer(FlyweightError):
    """Nothing came back: what was asked for may have been done all the same."""


class Unreachable(NoAnswer):
    own_code = "unreachable"
    is_worth_retrying = True


class ConnectionLost(NoAnswer):
    own_code = "connection_lost"
    is_worth_retrying = True  # what is asked here may be asked twice: events carry ids


class DeadlinePassed(NoAnswer):
    own_code = "deadline_passed"


class NotUnderstood(NoAnswer):
    own_code = "not_understood"
