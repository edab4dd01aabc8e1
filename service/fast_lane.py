"""The short way from a connection to an answer, for a plain question.

uvicorn makes a task, a scope, an event and two writes for each request, BentoML's middlewares more of the kind;
together they cost more than a prediction. A question is plain when it is `POST /predict` in HTTP/1.1 as JSON, when
all of it has arrived in one piece and alone, and when it can be read and admitted: then it goes from the parser to
the batcher, and the answer from the batcher to the transport. Any other takes the public way through uvicorn,
BentoML and Starlette, where whatever is wrong with it is said.

Not public: that uvicorn (0.54) looks up its HTTP protocol in `HTTP_PROTOCOLS`, and what its own does when.
tests/service/test_fast_lane.py fails when that changes. `[service] shortcut = false` closes the lane. Why:
docs/decisions/0012-shortcut.md.
"""

import logging
from functools import partial
from time import perf_counter
from typing import Any

from uvicorn.config import HTTP_PROTOCOLS

from service import telemetry
from service.errors import HttpError, InternalError, Overloaded
from service.exchange import JSON, Reply, error_reply, log_failure, request_id_of
from service.prediction import parse_predict
from service.recommender import Recommendation
from service.routes import NEEDS, PREDICT
from service.strict_protocol import StrictProtocol, response_bytes
from service.worker import DEADLINE_HEADER, Worker

_LOG = logging.getLogger(__name__)
_PATH = PREDICT.encode()
_CLIENT_GONE = 499
"""The code that metrics show for a client that left before its answer, as nginx has it; nobody receives it."""


def open_fast_lane(worker: Worker) -> None:
    """From now on, what uvicorn starts in this process answers plain questions by the short way."""
    HTTP_PROTOCOLS["auto"] = partial(FastLane, worker)


class FastLane(StrictProtocol):
    """One connection. Between the head of what may be a plain question and its end, `_body` holds its body
    in pieces."""

    def __init__(self, worker: Worker, *arguments: Any, **options: Any) -> None:
        super().__init__(worker, *arguments, **options)
        self._body: list[bytes] | None = None
        self._gate = worker.keys.gate(NEEDS[PREDICT])
        worker.note_shortcut()
        worker.fair_share.note_connection()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._body is not None and self.refusal is None and not self.transport.is_closing():
            self._take_public_way()  # the rest is still under way, which may take long

    def on_headers_complete(self) -> None:
        self.check_head()
        if self._may_be_plain():
            self._body = []
        else:
            super().on_headers_complete()

    def _may_be_plain(self) -> bool:
        parser = self.parser
        return (
            self.url == _PATH
            and parser.get_method() == b"POST"
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused  # a client that asks without reading has to wait
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and parser.get_http_version() == "1.1"
            and (self._gate is None or self._has_key())
        )

    def _has_key(self) -> bool:
        try:
            self._gate(dict(self.headers).get(b"authorization"))
        except HttpError:
            return False
        return True

    def on_body(self, body: bytes) -> None:
        if self._body is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._body is not None:
            if self._ask(b"".join(self._body)):
                self._body = None
                return
            self._take_public_way()
        super().on_message_complete()

    def _take_public_way(self) -> None:
        """As if the head had come only now."""
        body, self._body = self._body, None
        super().on_headers_complete()
        if body:
            super().on_body(b"".join(body))

    def _ask(self, body: bytes) -> bool:
        """False for what cannot be asked: the public way finds out why, and says it."""
        headers, worker = dict(self.headers), self.worker
        if headers.get(b"content-type") != JSON or len(body) > worker.settings.service.max_body_bytes:
            return False
        batcher = worker.batcher
        try:
            batcher.enter()
        except Overloaded as refusal:
            if worker.drain.is_on:  # the connection is to be closed as well
                return False
            self._refuse(refusal, headers)
            return True
        except HttpError:
            return False
        read_at = perf_counter()
        try:
            request = parse_predict(body)
            seconds = worker.deadline_seconds(headers.get(DEADLINE_HEADER))
        except HttpError:
            batcher.leave()
            return False
        self.cycle = asked = Asked(self, headers, read_at)
        if worker.traces is not None:
            asked.asked = perf_counter()
        worker.answer_deadline.begin(asked)
        worker.ask(request, read_at, seconds, asked, read_at)
        return True

    def _refuse(self, refusal: Overloaded, headers: dict[bytes, bytes]) -> None:
        """Say no at once: in a crowd that is most of what a worker does."""
        refused = Asked(self, headers, perf_counter())
        self._write(refusal.status, error_reply(refusal, refused.request_id), refused.request_id)
        self.worker.fair_share.note_answer()
        self.worker.overload.note(PREDICT, refused.request_id)
        self._count(refused, refusal.status)
        self.on_response_complete()

    def finish(self, asked: "Asked", status: int, reply: Reply) -> None:
        """Send what was found. Never raises: others wait in the same batch."""
        try:
            if self.transport.is_closing():
                self._close_account(asked, _CLIENT_GONE)
            else:
                self._send(asked, status, reply)
        except Exception:
            _LOG.exception("the answer from %s was not sent", PREDICT, extra={"request_id": asked.request_id})
            self.transport.abort()
            if not asked.response_complete:
                self._close_account(asked, InternalError.status)

    def _send(self, asked: "Asked", status: int, reply: Reply) -> None:
        keep_alive = asked.keep_alive and not self.worker.drain.is_on
        self._write(status, reply, asked.request_id, keep_alive=keep_alive)
        self._close_account(asked, status)
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _write(self, status: int, reply: Reply, request_id: str, *, keep_alive: bool = True) -> None:
        headers = tuple(self.server_state.default_headers)
        self.transport.write(response_bytes(status, headers, reply, request_id, keep_alive=keep_alive))

    def _close_account(self, asked: "Asked", status: int) -> None:
        asked.response_complete = True
        self.worker.answer_deadline.end(asked)
        self.worker.batcher.leave()
        self.worker.fair_share.note_answer()
        self._count(asked, status)

    def _count(self, asked: "Asked", status: int) -> None:
        telemetry.count_request(PREDICT, self.worker.variant(), status, asked.started)
        if self.worker.traces is not None:
            self.worker.traces.record(PREDICT, asked, status)

    def connection_lost(self, exc: Exception | None) -> None:
        asked = self.cycle
        super().connection_lost(exc)
        if isinstance(asked, Asked) and not asked.response_complete:
            self._close_account(asked, _CLIENT_GONE)
        self.cycle = None  # it knows us as we know it: the garbage collector would have to find that out


class Asked:
    """A plain question under way: to the batcher its future, to uvicorn the cycle of its connection."""

    __slots__ = (
        "_lane", "asked", "disconnected", "found", "headers", "keep_alive", "request_id", "response_complete",
        "started",
    )  # fmt: skip

    def __init__(self, lane: FastLane, headers: dict[bytes, bytes], started: float) -> None:
        self._lane = lane
        self.headers = headers
        self.request_id = request_id_of(headers.get(b"x-request-id"))
        self.found: Recommendation | None = None
        self.started = self.asked = started
        self.keep_alive = True  # uvicorn takes it back when it stops
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> "Asked":
        """What uvicorn sets when the client is gone, for who would wait for more of the body: nobody does."""
        return self

    def set(self) -> None:
        pass

    @property
    def received(self) -> float:
        """All of it was here when it began."""
        return self.started

    def done(self) -> bool:
        return self.response_complete

    def set_result(self, found: Recommendation) -> None:
        self.found = found
        try:
            reply = self._lane.worker.reply(found, self.request_id)
        except Exception:
            _LOG.exception("a request for %s failed", PREDICT, extra={"request_id": self.request_id})
            self._lane.finish(self, InternalError.status, error_reply(InternalError(), self.request_id))
        else:
            self._lane.finish(self, 200, reply)

    def set_exception(self, error: HttpError) -> None:
        log_failure(error, PREDICT, self.request_id)
        self._lane.finish(self, error.status, error_reply(error, self.request_id))

    def cancel(self) -> None:
        """The answer takes too long."""
        self.set_exception(self._lane.worker.expired())
