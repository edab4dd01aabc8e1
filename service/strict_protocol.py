"""uvicorn's HTTP protocol, with what its parser refuses said in our one shape, in its turn, and counted.

uvicorn's own refusal is plain text, and is written at once: before the answers to whatever was asked ahead of it
on the same connection, which are then lost. A head may take any time and any room; and a body that comes with an
upgrade that we do not do (`Upgrade: h2c`, which some HTTP clients offer with every first question) is thrown away.

Not public: the same seam as in service/fast_lane.py, under the same version of uvicorn (0.54).
"""

import logging
from functools import lru_cache
from time import perf_counter
from typing import Any

from httptools import (
    HttpParserError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
    parse_url,
)
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service import telemetry
from service.errors import BodyTimeout, HeadTooLarge, HttpError, InternalError, InvalidRequest
from service.exchange import Reply, error_reply, log_failure, request_id_of
from service.routes import OTHER
from service.worker import Worker

MAX_HEAD_BYTES = 32_768
_LINGER_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class StrictProtocol(HttpToolsProtocol):
    """One connection. Once something was refused on it, `refusal` says what; nothing that follows is read."""

    def __init__(self, worker: Worker, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.worker = worker
        self.refusal: tuple[HttpError, str] | None = None
        self._head_bytes = 0  # received, and not yet part of a whole head or of a body
        self._may_be_large = False
        self._is_in_body = False

    def data_received(self, data: bytes) -> None:
        if self.refusal is not None:
            return
        if not self._head_bytes:
            self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        self._may_be_large = self._head_bytes > MAX_HEAD_BYTES
        self._feed(data)
        if self._head_bytes > MAX_HEAD_BYTES and self.refusal is None:
            self._end_with(_head_too_large())
        if self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_more()

    def _feed(self, data: bytes) -> None:
        behind = None
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            behind = upgrade.args[0]
        except HttpParserError as error:
            self._end_with(_explain(error))
        if behind is not None:
            self._go_on_without_upgrade(data[behind:])

    @property
    def awaits_rest(self) -> bool:
        """A part of a request is here, and no answer to it is under way."""
        return bool(self._head_bytes or self._is_in_body)

    def check_head(self) -> None:
        """First thing once a head is whole. Raises `HeadTooLarge`, out of the parser."""
        self._head_bytes = 0
        self._unset_keepalive_if_required()
        if self._may_be_large and self._size_of_head() > MAX_HEAD_BYTES:
            raise _head_too_large()

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise InvalidRequest("CONNECT asks a proxy for a tunnel; this is none")
        if (version := self.parser.get_http_version()) not in ("1.1", "1.0"):
            raise InvalidRequest(f"HTTP/{version} is not spoken here; expected HTTP/1.1")
        if parse_url(self.url).path is None:
            raise InvalidRequest("the URL names no path; expected one such as /predict")
        if not self.parser.should_upgrade():  # else the same head comes again, without the upgrade
            super().on_headers_complete()
            self._is_in_body = True

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if not self.parser.should_upgrade():
            self._is_in_body = False
            super().on_message_complete()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """The parser takes what follows such a head for another protocol; so another one gets it without."""
        kept = [(name, value) for name, value in self.headers if name not in (b"connection", b"upgrade")]
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._feed(line + b"".join(b"%b: %b\r\n" % header for header in kept) + b"\r\n" + rest)

    def _expect_more(self) -> None:
        """The connection ends when nothing comes: of a head in all that time, of a body since its last piece."""
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def timeout_keep_alive_handler(self) -> None:
        if self._head_bytes and self.refusal is None:
            self._end_with(BodyTimeout(f"the head was not received within {self.timeout_keep_alive:g} s"))
        else:
            super().timeout_keep_alive_handler()

    def eof_received(self) -> None:
        if self.refusal is None and (self._head_bytes or self._is_in_body):
            self._end_with(InvalidRequest("the request ended before its end; expected what its head announces"))

    def _end_with(self, error: HttpError) -> None:
        """Say this, now or when all that was asked before is answered, and nothing more on this connection."""
        self.refusal = error, request_id_of(dict(self.headers or ()).get(b"x-request-id"))
        is_answered = self.cycle is None or self.cycle.response_complete
        if not self._is_in_body:
            if is_answered:
                self._send_refusal()
        elif is_answered or self.cycle.response_started:
            self._linger()  # it has its answer: what is broken is the rest of its body
        else:
            self._leave_to_refusal()

    def _leave_to_refusal(self) -> None:
        """The newest of those who wait for an answer gets none but the refusal: its body is what is broken."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()
        else:
            self._send_refusal()

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        if self.refusal is not None and was_last and not self.transport.is_closing():
            self._send_refusal()

    def _send_refusal(self) -> None:
        error, request_id = self.refusal
        log_failure(error, OTHER, request_id)
        headers = tuple(self.server_state.default_headers)
        reply = error_reply(error, request_id)
        self.transport.write(response_bytes(error.status, headers, reply, request_id, keep_alive=False))
        telemetry.count_request(OTHER, self.worker.variant(), error.status, perf_counter())
        self._linger()

    def _linger(self) -> None:
        """Who still sends reads the refusal afterwards; to close at once would take it away with the rest."""
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def response_bytes(
    status: int, headers: tuple[tuple[bytes, bytes], ...], reply: Reply, request_id: str, *, keep_alive: bool
) -> bytes:
    """A whole answer, as uvicorn would write it; `headers` are those of every answer."""
    return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b\r\n%b" % (
        STATUS_LINE[status],
        header_lines(headers),
        reply.content_type,
        len(reply.body),
        request_id.encode(),
        header_lines(reply.headers),
        b"" if keep_alive else b"connection: close\r\n",
        reply.body,
    )


@lru_cache(maxsize=16)
def header_lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _explain(error: HttpParserError) -> HttpError:
    cause = error.__context__
    if isinstance(cause, HttpError):
        return cause
    if cause is None or isinstance(cause, HttpParserInvalidURLError | UnicodeDecodeError):
        reason = "the URL cannot be read" if cause else str(error)
        return InvalidRequest(f"the request is not HTTP/1.1: {reason}")
    _LOG.error("a request failed before its route was known", exc_info=cause)
    return InternalError()


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(f"request line and headers have more than {MAX_HEAD_BYTES} bytes, the limit")
