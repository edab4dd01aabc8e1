"""What stands before BentoML's routes: of them only its health routes are reached, and who comes during a drain is
told that the connection ends with the answer. On public API: a middleware of BentoML."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.drain import Drain

HEALTH = ("/livez", "/readyz", "/healthz")
"""The paths that BentoML answers."""

_CLOSE = (b"connection", b"close")


class Doorway:
    """An ASGI application: what is asked for one of the paths `inside` goes on to BentoML, all else to `ours`."""

    def __init__(self, app: ASGIApp, inside: frozenset[str], ours: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._inside = inside
        self._ours = ours
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app = self._app if scope["path"] in self._inside else self._ours
        await app(scope, receive, _closing(send) if self._drain.is_on else send)


def _closing(send: Send) -> Send:
    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        await send(message)

    return send_and_close


def before_routes(service: Any, ours: ASGIApp, drain: Drain, *, shortcuts: tuple[str, ...]) -> None:
    """`service`: a BentoML service, before its application is made, and before any other middleware is added."""
    service.add_asgi_middleware(Doorway, inside=frozenset({*HEALTH, *shortcuts}), ours=ours, drain=drain)
