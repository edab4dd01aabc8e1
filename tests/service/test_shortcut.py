"""The public way around Starlette's routing; real servers are in test_server.py."""

import bentoml
import pytest

from service.shortcut import Shortcut, behind_middlewares


async def endpoint(scope, receive, send) -> None:
    await send("endpoint")


async def nowhere(scope, receive, send) -> None:
    await send("nowhere")


async def app(scope, receive, send) -> None:
    await send("app")


def asked(shortcut: Shortcut, **scope: str) -> str:
    sent = []

    async def send(message: str) -> None:
        sent.append(message)

    coroutine = shortcut({"type": "http", "method": "POST", "path": "/p", **scope}, None, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    return sent[0]


@pytest.mark.parametrize(
    ("scope", "answerer"),
    [
        ({}, "endpoint"),
        ({"method": "GET"}, "app"),
        ({"path": "/p/"}, "app"),
        ({"type": "lifespan"}, "app"),
        ({"type": "websocket"}, "app"),
        ({"path": "/p\n"}, "nowhere"),
        ({"path": "*", "method": "OPTIONS"}, "nowhere"),
    ],
)
def test_only_a_post_to_the_path_takes_the_shortcut(scope: dict, answerer: str) -> None:
    assert asked(Shortcut(app, "/p", endpoint, nowhere), **scope) == answerer


def test_it_is_a_middleware_of_bentoml() -> None:
    @bentoml.service(name="bare")
    class Bare:
        @bentoml.api
        def nothing(self) -> str:
            return ""

    behind_middlewares(Bare, "/p", endpoint, nowhere)
    assert Shortcut in [middleware.cls for middleware in Bare.to_asgi().user_middleware]
