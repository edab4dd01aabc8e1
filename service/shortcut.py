"""The short way to a route that is asked often, on public API: a middleware of BentoML, the last one, so that its
tracing and its timer remain, and two levels of Starlette's routing are spared. And the way for paths that routing
does not see: to Starlette a path begins with a slash and holds no line feed, and its own 404 is plain text."""

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """An ASGI application: POST requests for `path` go to `endpoint`, paths that no route can have to `nowhere`,
    everything else to `app`."""

    def __init__(self, app: ASGIApp, path: str, endpoint: ASGIApp, nowhere: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._endpoint = endpoint
        self._nowhere = nowhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._path and scope["method"] == "POST":
            await self._endpoint(scope, receive, send)
        elif scope["type"] == "http" and not _is_seen(scope["path"]):
            await self._nowhere(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_seen(path: str) -> bool:
    return path.startswith("/") and "\n" not in path


def behind_middlewares(service: Any, path: str, endpoint: ASGIApp, nowhere: ASGIApp) -> None:
    """`service`: a BentoML service, before its application is made."""
    service.add_asgi_middleware(Shortcut, path=path, endpoint=endpoint, nowhere=nowhere)
