"""The short way to a route that is asked thousands of times a second.

BentoML's middlewares (tracing, a timer and a task of its own for each request, its context) and two levels of
Starlette's routing cost more than a prediction. Requests for a shortened route go around them, at two places:

`behind_middlewares`  public API: the last of BentoML's middlewares, so that tracing and the timer remain
`before_bentoml`      not public: it relies on BentoML's worker to take its application from `Service.to_asgi`
                      (1.4.39), and on how uvicorn (0.54) writes an answer, to make one write of its two

tests/service/test_shortcut.py fails when a version of either changes that, and the service then goes the public
way by itself; `[service] shortcut = false` has it do so from the start. Why: docs/decisions/0012-shortcut.md.
"""

from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_CONTINUE = b"HTTP/1.1 100"


class Shortcut:
    """An ASGI application: POST requests for `path` go to `endpoint`, everything else to `app`."""

    def __init__(self, app: ASGIApp, path: str, endpoint: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._path and scope["method"] == "POST":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint(scope, receive, send)


class AskedFirst(Shortcut):
    """A `Shortcut` around the whole application; `tell` is called when the server starts through it."""

    def __init__(self, app: ASGIApp, path: str, endpoint: ASGIApp, tell: Callable[[], None]) -> None:
        super().__init__(app, path, endpoint)
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._tell()
        await super().__call__(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)
        if type(cycle) is RequestResponseCycle:
            cycle.transport = JoinedWrites(cycle.transport)
        await self._endpoint(scope, receive, send)


class JoinedWrites:
    """A transport that holds the head of an answer back until its body follows: one write, one packet."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, content: bytes) -> None:
        if self._head is not None:
            self._transport.write(self._head + content)
            self._head = b""
        elif content.startswith(_CONTINUE):  # the client waits for it before it sends the body
            self._transport.write(content)
        else:
            self._head = content

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


def behind_middlewares(service: Any, path: str, endpoint: ASGIApp) -> None:
    """`service`: a BentoML service, before its application is made."""
    service.add_asgi_middleware(Shortcut, path=path, endpoint=endpoint)


def before_bentoml(service: Any, path: str, endpoint: ASGIApp, tell: Callable[[], None]) -> None:
    """`tell` is called when a worker's server has started through the shortcut: the seam holds."""

    class Shortened(type(service)):
        __slots__ = ()

        def to_asgi(self, is_main: bool = True) -> ASGIApp:
            return AskedFirst(super().to_asgi(is_main), path, endpoint, tell)

    service.__class__ = Shortened  # its instances have no room for an attribute of ours
