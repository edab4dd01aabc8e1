"""Every wrong request gets the answer that is documented for it, soon, from a real service that lives on."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import pytest

from contracts.pointer import move_pointer
from service.embedded_redis import running
from service.filling import write_histories
from service.redis_clients import connect
from tests.service.bad_input import GOOD, BadInput, request
from tests.service.corpus import BAD_INPUTS, RIGHT, UNFINISHED
from tests.service.in_process import as_histories
from tests.service.test_server import OURS, Server, launch, stop

ANSWER_MS = 100
TRIES = 3
"""The machine may be busy with something else; a service that is too slow is so every time."""
BODY_TIMEOUT_MS = 1000
LARGEST_ANSWER_BYTES = 2_000
"""What was wrong is not sent back at any length."""


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("refusing")
    artifact = tiny.seal(root / "artifacts")
    move_pointer(root / "artifacts", artifact.path)
    server = launch(OURS, root, FLYWEIGHT_SERVICE_BODY_TIMEOUT_MS=str(BODY_TIMEOUT_MS))
    with connect(running(root / "state")) as redis:
        write_histories(redis, as_histories({"u1": [10]}), longest=100, ttl_seconds=600)
    yield server
    stop(server, signal.SIGKILL)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict:
        return json.loads(self.body)

    @property
    def says_closed(self) -> bool:
        return self.headers.get("connection") == "close"


class Connection:
    """A socket and what came back on it."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20)
        self._received = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def end(self) -> None:
        """Say that nothing more comes."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self, *, is_head: bool = False) -> Answer:
        """The next one; invitations to send a body are passed over."""
        while True:
            head = self._until(b"\r\n\r\n").decode("latin-1")
            status, *lines = head.split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            if not status.startswith("HTTP/1.1 100"):
                break
        length = 0 if is_head else int(headers["content-length"])
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(int(status[9:12]), headers, body)

    def is_closed(self) -> bool:
        """Whether nothing follows but the end. Waits for it."""
        try:
            return self._received + self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, end: bytes) -> str:
        while end not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(end)
        return head

    def _receive(self) -> None:
        piece = self._socket.recv(65_536)
        assert piece, f"closed before the end of an answer, after {self._received!r}"
        self._received += piece


def check_shape(answer: Answer, bad: BadInput) -> None:
    assert answer.status == bad.status, answer.body[:500]
    assert answer.headers["content-type"] == "application/json"
    if bad.is_head:
        return
    assert len(answer.body) < LARGEST_ANSWER_BYTES
    assert set(answer.content) == {"error", "request_id"}
    assert set(answer.content["error"]) == {"code", "message", "field"}
    assert (answer.content["error"]["code"], answer.content["error"]["field"]) == (bad.code, bad.field)
    assert answer.content["request_id"] == answer.headers["x-request-id"]
    assert re.fullmatch("mine|[0-9a-f]{16}", answer.headers["x-request-id"])


def ask(server: Server, bad: BadInput) -> float:
    """Milliseconds from the last byte sent to the whole answer, which and whose end are checked."""
    with Connection(server) as connection:
        connection.send(bad.sent)
        started = perf_counter()
        answer = connection.answer(is_head=bad.is_head)
        took_ms = 1000 * (perf_counter() - started)
        check_shape(answer, bad)
        assert answer.says_closed == (bad.after == "closed")
        check_end(connection, bad)
    return took_ms


def check_end(connection: Connection, bad: BadInput) -> None:
    if bad.after == "kept":
        connection.send(request(request_id=b"next"))
        following = connection.answer()
        assert (following.status, following.headers["x-request-id"]) == (200, "next")
    if bad.after == "refused":
        assert connection.answer().status == 400
    if bad.after in ("refused", "closed"):
        assert connection.is_closed()


def test_the_corpus_is_large_and_every_input_another() -> None:
    assert len(BAD_INPUTS) >= 200
    assert len({bad.name for bad in BAD_INPUTS}) == len(BAD_INPUTS)
    assert len({bad.sent for bad in BAD_INPUTS}) == len(BAD_INPUTS)


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name.encode("ascii", "backslashreplace").decode())
def test_bad_input_gets_its_documented_answer_in_time(server: Server, bad: BadInput) -> None:
    took_ms = []
    while len(took_ms) < TRIES and (not took_ms or took_ms[-1] >= ANSWER_MS):
        took_ms.append(ask(server, bad))
    assert min(took_ms) < ANSWER_MS


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_to_the_last_byte_is_answered(server: Server, name: str) -> None:
    with Connection(server) as connection:
        connection.send(RIGHT[name])
        answer = connection.answer()
        assert answer.status == 200, answer.body
        assert answer.content["items"]


def test_body_that_does_not_come_is_a_408_after_the_time_it_has(server: Server) -> None:
    waiting = []
    for bad in UNFINISHED:
        waiting.append((Connection(server), perf_counter(), bad))
        waiting[-1][0].send(bad.sent)
    for connection, started, bad in waiting:
        with connection:
            check_shape(connection.answer(), bad)
            assert perf_counter() - started >= BODY_TIMEOUT_MS / 1000 * 0.95
            assert connection.is_closed()


def test_request_that_is_ended_before_its_end_is_told_so(server: Server) -> None:
    for sent in (request()[:20], request()[: -len(GOOD)], request()[:-1]):
        with Connection(server) as connection:
            connection.send(sent)
            connection.end()
            check_shape(connection.answer(), BadInput("ended", sent))
            assert connection.is_closed()


def mixed(number: int) -> tuple[bytes, int]:
    """A question of any kind under its number, and the status that belongs to it."""
    wrong = {2: (b'{"user_id": 7}', 400), 3: (b"{", 400), 5: (b" " * 2_000_000, 413)}
    body, status = wrong.get(number % 6, (GOOD, 200))
    if number % 6 == 4:
        return request(kind=b"", request_id=b"%d" % number), 415
    return request(body, request_id=b"%d" % number), status


def test_pipelined_requests_good_and_bad_are_answered_in_order(server: Server) -> None:
    asked = [mixed(number) for number in range(20)]
    with Connection(server) as connection:
        connection.send(b"".join(sent for sent, _ in asked))
        for number, (_, status) in enumerate(asked):
            answer = connection.answer()
            assert (answer.headers["x-request-id"], answer.status) == (str(number), status)
        connection.send(request(request_id=b"after"))
        assert connection.answer().headers["x-request-id"] == "after"


@pytest.mark.parametrize(
    "broken",
    [
        b"BREW / HTTP/1.1\r\n\r\n",
        request(b"zz\r\n", b"Transfer-Encoding: chunked", length=b""),
        request(GOOD, b"X: " + b"y" * 40_000),
    ],
    ids=["no method", "broken chunk", "huge head"],
)
@pytest.mark.parametrize("ahead", [1, 2, 20])
def test_what_is_no_http_is_refused_after_the_answers_to_what_was_asked_before(
    server: Server, broken: bytes, ahead: int
) -> None:
    questions = [request(request_id=b"%d" % number) for number in range(ahead)]
    with Connection(server) as connection:
        connection.send(b"".join([*questions, broken, request(request_id=b"never")]))
        for number in range(ahead):
            answer = connection.answer()
            assert (answer.status, answer.headers["x-request-id"]) == (200, str(number))
        refusal = connection.answer()
        assert refusal.status in (400, 431)
        assert refusal.says_closed and connection.is_closed()


def test_service_lives_on_and_counted_no_fault_of_its_own(server: Server) -> None:
    for bad in BAD_INPUTS[::10]:
        ask(server, bad)
    assert len(server.family()) >= 3
    status, answer = server.call("/predict", {"user_id": "u1", "k": 2})
    assert (status, answer["reason"]) == (200, "ok")
    metrics = server.call("/metrics")[1]
    counted = set(re.findall(r'duration_seconds_count\{code="(\d+)"', metrics))
    assert {"200", "400", "404", "405", "413", "415", "431"} <= counted
    assert not {code for code in counted if code.startswith("5")}
