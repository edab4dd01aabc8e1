"""What a wrong request is, and how the bytes of one are made."""

from dataclasses import dataclass
from typing import Literal

GOOD = b'{"user_id": "u1", "k": 3}'
MAX_BODY_BYTES = 1_048_576
MAX_HEAD_BYTES = 32_768

LINE = b"POST /predict HTTP/1.1"
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"

_CODES = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    431: "head_too_large",
}

After = Literal["kept", "closed", "refused", "awaited"]


@dataclass(frozen=True)
class BadInput:
    """`sent`: all that a client sends. `field`: what the error names.

    `after`: what becomes of the connection: it answers the next request; it is closed, as the answer says; it is
    closed after a second answer, to what is left where the request is shorter than what was sent; or the service
    waits for the rest of the body, to throw it away.
    """

    name: str
    sent: bytes
    status: int = 400
    field: str | None = None
    after: After = "kept"

    @property
    def code(self) -> str:
        return _CODES[self.status]

    @property
    def is_head(self) -> bool:
        return self.sent.startswith(b"HEAD ")


def request(
    body: bytes = GOOD,
    *headers: bytes,
    line: bytes = LINE,
    kind: bytes = JSON,
    length: bytes | None = None,
    request_id: bytes = b"mine",
) -> bytes:
    """Bytes of a request; `length`: its Content-Length, b"" for none, None for the true one."""
    if length is None:
        length = b"%d" % len(body)
    lines = [line, b"Host: a", b"X-Request-Id: " + request_id, *headers]
    lines += [kind] if kind else []
    lines += [b"Content-Length: " + length] if length else []
    return b"\r\n".join([*lines, b"", body])


def in_chunks(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request(encoded + end, CHUNKED, length=b"")
