"""What both clients have in common: where they ask, how long they try, and what an error of httpx means."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

import httpx

from contracts.client_key import KEY_VARIABLE, key_headers
from flyweight.client.calls import Call, Result
from flyweight.client.course import Course, Retries, course_of
from flyweight.client.errors import (
    ConnectionLost,
    DeadlinePassed,
    NoAnswer,
    NotUnderstood,
    RequestError,
    Unreachable,
)

DEADLINE_MS = 2000.0
RETRIES = Retries()
ONCE = Retries(attempts=1)

_IDLE_SECONDS = 4.0
"""The service closes a connection that was idle for 5 s; ours go before, so that none is dead when it is used."""

_CARRIED = re.compile(r"[\x21-\x7e]+")


class Asking:
    """Two children, one that blocks and one for asyncio. They differ in how they wait, and in nothing else: every
    decision is made in course.py."""

    _open: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        deadline_ms: float = DEADLINE_MS,
        retries: Retries = RETRIES,
        connections: int = 100,
    ) -> None:
        """`key`: by default what FLYWEIGHT_KEY of the environment holds. `deadline_ms`: of a call that names none,
        all its attempts and pauses together. `connections`: open at most."""
        self._deadline_ms = deadline_ms
        self._retries = retries
        self._http = self._open(
            base_url=_checked(url),
            headers=_headers(key),
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE_SECONDS
            ),
        )

    def _course(
        self, call: Call[Result], deadline_ms: float | None, retries: Retries | None = None
    ) -> Course[Result]:
        deadline_ms = self._deadline_ms if deadline_ms is None else deadline_ms
        return course_of(call, deadline_ms, retries or self._retries)


def no_answer(error: httpx.HTTPError | TimeoutError) -> NoAnswer:
    """Our word for httpx's."""
    kind: type[NoAnswer]
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        kind = DeadlinePassed
    elif isinstance(error, httpx.ConnectError | httpx.ProxyError):
        kind = Unreachable
    elif isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        kind = ConnectionLost
    else:
        kind = NotUnderstood
    found = kind(str(error) or type(error).__name__)
    found.__cause__ = error
    return found


def _checked(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        found = httpx.URL()
    if found.scheme not in ("http", "https") or not found.host:
        problem = f"found the URL {url!r}, expected one such as http://127.0.0.1:3000"
        raise RequestError(problem, code="invalid_url")
    return found


def _headers(key: str | None) -> dict[str, str]:
    headers = key_headers() if key is None else key_headers({KEY_VARIABLE: key})
    for value in headers.values():
        if not _CARRIED.fullmatch(value.partition(" ")[2]):  # nor is it shown: most of it may be a key
            raise RequestError("the key holds characters that no header carries", code="invalid_key")
    return headers
