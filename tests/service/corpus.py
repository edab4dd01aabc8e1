"""Requests that are wrong, each with the one answer it must get; and some that are right to the last byte."""

import json

from tests.service.bad_bodies import ASTRAL, bad_bodies
from tests.service.bad_http import bad_http
from tests.service.bad_input import CHUNKED, GOOD, MAX_BODY_BYTES, BadInput, in_chunks, request

BAD_INPUTS = (*bad_bodies(), *bad_http())

UNFINISHED: tuple[BadInput, ...] = (
    BadInput("half a body", request()[:-5], 408, after="closed"),
    BadInput("no body", request()[: -len(GOOD)], 408, after="closed"),
    BadInput("length that is too long", request(length=b"26"), 408, after="closed"),
    BadInput("chunk that is too short", request(b"30\r\n" + GOOD, CHUNKED, length=b""), 408, after="closed"),
    BadInput("no last chunk", in_chunks(GOOD, end=b""), 408, after="closed"),
    BadInput("invited, and never sent", request(GOOD, b"Expect: 100-continue")[: -len(GOOD)], 408, after="closed"),
)
"""What waits for a body that does not come."""

RIGHT: dict[str, bytes] = {
    "256 ascii characters": request(json.dumps({"user_id": "u" * 256}).encode()),
    "256 characters of four bytes": request(json.dumps({"user_id": ASTRAL * 256}, ensure_ascii=False).encode()),
    "256 escaped surrogate pairs": request(json.dumps({"user_id": ASTRAL * 256}).encode()),
    "1,000 of each": request(json.dumps({"history": ["i1"] * 1000, "exclude": ["i2"] * 1000}).encode()),
    "k is 1": request(b'{"user_id": "u1", "k": 1}'),
    "k is 500": request(b'{"user_id": "u1", "k": 500}'),
    "no history": request(b'{"history": []}'),
    "NUL, escaped": request(b'{"user_id": "\\u0000"}'),
    "the largest body": request(GOOD + b" " * (MAX_BODY_BYTES - len(GOOD))),
    "a head of 32,000 bytes": request(GOOD, b"X: " + b"y" * 31_900),
    "500 headers": request(GOOD, *[b"X-%d: y" % number for number in range(500)]),
    "escaped path": request(line=b"POST /%70redict HTTP/1.1"),
    "whole URL": request(line=b"POST http://a/predict HTTP/1.1"),
    "query": request(line=b"POST /predict?a=b HTTP/1.1"),
    "blank lines before": b"\r\n\r\n" + request(),
    "upgrade that is not done": request(GOOD, b"Connection: Upgrade", b"Upgrade: h2c"),
    "two chunks": in_chunks(GOOD[:9], GOOD[9:]),
    "chunk with an extension": request(b"19;a=b\r\n" + GOOD + b"\r\n0\r\n\r\n", CHUNKED, length=b""),
}
