"""A service that does what a test tells it: for each request one turn, whatever was asked."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

ANSWER = {
    "request_id": "theirs",
    "items": [{"item_id": "i1", "score": 0.5}],
    "model": {"name": "item-to-item", "variant": "fp32", "version": "0123456789ab"},
    "source": "model",
    "reason": "ok",
    "degraded": False,
}
RECORDED = {"request_id": "theirs", "accepted": 1, "duplicates": 0, "rejected": []}

LOST, HALF, HANGS, DRIPS, DRIPS_HEAD = b"LOST", b"HALF", b"HANGS", b"DRIPS", b"DRIPS_HEAD"
"""Turns besides an answer: closed without one, closed in the middle of one, never one, one whose body or
whose head comes byte by byte, for some ten seconds."""

_PIECES = 500

_HEAD_OF_LONG = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n{"


def answer(status: int, body: object, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", *headers, f"content-length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def error(status: int, code: str, *headers: str, field: str | None = None, **more: object) -> bytes:
    said = {"code": code, "message": f"said of {code}", "field": field}
    return answer(status, {"error": said, "request_id": "theirs", **more}, *headers)


GOOD = answer(200, ANSWER)
GOOD_AND_CLOSED = GOOD + b"CLOSED"  # without a word, as after a long silence


@dataclass
class Asked:
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class StubService:
    url: str
    turns: list[bytes]
    asked: list[Asked] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def stub_service(turns: Sequence[bytes]) -> Iterator[StubService]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        service = StubService(f"http://127.0.0.1:{listening.getsockname()[1]}", list(turns))
        threads = [threading.Thread(target=_accept, args=(service, listening))]
        threads[0].start()
        try:
            yield service
        finally:
            service.stopped.set()
            threads[0].join()


def _accept(service: StubService, listening: socket.socket) -> None:
    threads = []
    while not service.stopped.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _ = listening.accept()
            threads.append(threading.Thread(target=_serve, args=(service, connection, len(threads))))
            threads[-1].start()
    for thread in threads:
        thread.join()


def _serve(service: StubService, connection: socket.socket, number: int) -> None:
    connection.settimeout(0.05)
    with connection, contextlib.suppress(ConnectionError):
        while asked := _read(service, connection, number):
            service.asked.append(asked)
            turn = service.turns.pop(0)
            if turn in (LOST, HALF):
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-le" if turn == HALF else b"")
                return
            if turn in (HANGS, DRIPS, DRIPS_HEAD):
                first = {HANGS: b"", DRIPS: _HEAD_OF_LONG, DRIPS_HEAD: b"HTTP/1.1 200 OK\r\nx-long: "}[turn]
                connection.sendall(first)
                for _ in range(_PIECES):
                    if service.stopped.wait(0.02):
                        return
                    connection.sendall(b"" if turn == HANGS else b"x")
                return
            connection.sendall(turn.removesuffix(b"CLOSED"))
            if turn.endswith(b"CLOSED"):
                return


def _read(service: StubService, connection: socket.socket, number: int) -> Asked | None:
    """The next request; None once there is none."""
    received = b""
    while not service.stopped.is_set():
        head, end, body = received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        if end and len(body) >= int(headers.get("content-length", 0)):
            return Asked(lines[0], headers, body, number)
        with contextlib.suppress(TimeoutError):
            piece = connection.recv(65536)
            if not piece:
                return None
            received += piece
    return None
