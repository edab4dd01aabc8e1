"""The seams that are not public, against the installed versions; real servers are in test_server.py."""

import inspect

import bentoml
import pytest
from _bentoml_impl.worker import service as worker
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.shortcut import AskedFirst, JoinedWrites, Shortcut, before_bentoml, behind_middlewares


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, content: bytes) -> None:
        self.written.append(content)

    def close(self) -> None:
        self.is_closed = True


async def endpoint(scope, receive, send) -> None:
    await send("endpoint")


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
    ],
)
def test_only_a_post_to_the_path_takes_the_shortcut(scope: dict, answerer: str) -> None:
    told = []
    assert asked(Shortcut(app, "/p", endpoint), **scope) == answerer
    assert asked(AskedFirst(app, "/p", endpoint, lambda: told.append(True)), **scope) == answerer
    assert bool(told) == (scope.get("type") == "lifespan")


def test_head_and_body_are_one_write_and_the_invitation_to_send_a_body_is_not_held_back() -> None:
    transport = Transport()
    joined = JoinedWrites(transport)
    joined.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert transport.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    joined.write(b"{}")
    joined.close()
    assert transport.written[1:] == [b"HTTP/1.1 200 OK\r\n\r\n{}"]
    assert transport.is_closed


def make_service():
    @bentoml.service(name="bare")
    class Bare:
        @bentoml.api
        def nothing(self) -> str:
            return ""

    return Bare


def test_a_service_gives_its_shortened_application_to_who_asks_for_one() -> None:
    service = make_service()
    before_bentoml(service, "/p", endpoint, lambda: None)
    assert isinstance(service.to_asgi(), AskedFirst)


def test_the_public_way_is_a_middleware() -> None:
    service = make_service()
    behind_middlewares(service, "/p", endpoint)
    assert Shortcut in [middleware.cls for middleware in service.to_asgi().user_middleware]


def test_what_the_seam_relies_on_is_there() -> None:
    """When this fails, BentoML or uvicorn has changed: look at service/shortcut.py before the version moves."""
    assert "service.to_asgi(" in inspect.getsource(worker.main.callback)
    assert "self.transport.write" in inspect.getsource(RequestResponseCycle.send)
    assert 'self.transport.write(b"HTTP/1.1 100 Continue' in inspect.getsource(RequestResponseCycle.receive)
