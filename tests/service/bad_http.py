"""What is wrong around a body: types, lengths, chunks, request lines, headers, routes, sizes, connections."""

import json
from collections.abc import Iterator

from tests.service.bad_input import CHUNKED, GOOD, MAX_BODY_BYTES, MAX_HEAD_BYTES, BadInput, in_chunks, request


def _content_types() -> Iterator[BadInput]:
    kinds = [
        "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/jsonp", "application/json5", "application/x-ndjson", "application/vnd.api+json",
        "application/xml", "application/octet-stream", "application", "/", "json", "*/*", "application/*",
        ";charset=utf-8", "application/json, text/plain", "application /json", '"application/json"', "a" * 10_000,
    ]  # fmt: skip
    for kind in kinds:
        yield BadInput(f"content type: {kind[:40]}", request(kind=b"Content-Type: " + kind.encode()), 415)
    yield BadInput("content type: none", request(kind=b""), 415)
    yield BadInput("content type: empty", request(kind=b"Content-Type:"), 415)
    yield BadInput("content type: latin-1", request(kind=b"Content-Type: \xff\xfe"), 415)


def _content_lengths() -> Iterator[BadInput]:
    for length in (b"-1", b"+25", b"0x19", b"25.0", b"25, 25", b"25 25", b"2 5", b"many", b"9" * 30, b"\xd9\xa3"):
        yield BadInput(f"content length: {length!r}", request(length=length), after="closed")
    true = b"Content-Length: %d" % len(GOOD)
    yield BadInput("content length: twice", request(GOOD, true), after="closed")
    yield BadInput("content length: twice, not the same", request(GOOD, b"Content-Length: 3"), after="closed")
    yield BadInput("content length: beside chunks", request(GOOD, CHUNKED), after="closed")
    yield BadInput("content length: none at all", request(b"", length=b""))
    yield BadInput("content length: too short", request(length=b"20"), after="refused")
    yield BadInput("content length: 0 before a body", request(length=b"0"), after="refused")


def _chunks() -> Iterator[BadInput]:
    broken = {
        "size is no number": b"zz\r\n" + GOOD, "size is negative": b"-1\r\n" + GOOD,
        "size is missing": b"\r\n" + GOOD, "size overflows": b"f" * 17 + b"\r\n" + GOOD,
        "size with 0x": b"0x19\r\n" + GOOD, "longer than said": b"3\r\n" + GOOD,
        "no line end behind": b"19\r\n" + GOOD + b"0\r\n\r\n", "broken later": b"3\r\nabc\r\n?\r\n",
        "space before the size": b" 19\r\n" + GOOD + b"\r\n0\r\n\r\n",
    }  # fmt: skip
    for name, body in broken.items():
        yield BadInput(f"chunks: {name}", request(body, CHUNKED, length=b""), after="closed")
    for coding in (b"gzip", b"chunked, gzip", b"identity", b"xchunked", b"chunked, identity", b"chunked;q=1"):
        sent = request(b"0\r\n\r\n", b"Transfer-Encoding: " + coding, length=b"")
        yield BadInput(f"transfer encoding: {coding.decode()}", sent, after="closed")
    yield BadInput("chunks: none", in_chunks())
    yield BadInput("chunks: half a body", in_chunks(GOOD[:9]))
    yield BadInput("chunks: not JSON in many", in_chunks(*[b"["] * 500))
    yield BadInput("chunks: wrong field in two", in_chunks(b'{"user_id": ', b"7}"), field="user_id")
    extended = request(b"19;" + b"x" * 2_000_000 + b"\r\n" + GOOD, CHUNKED, length=b"")
    yield BadInput("chunks: endless extension", extended, 431, after="closed")
    trailed = in_chunks(GOOD, end=b"0\r\n" + b"X: y\r\n" * 400_000)
    yield BadInput("chunks: endless trailer", trailed, 431, after="closed")


def _lines() -> Iterator[BadInput]:
    lines = [
        b"BREW /predict HTTP/1.1", b"post /predict HTTP/1.1", b"POST", b"POST /predict", b"POST /predict HTTP",
        b"POST /predict HTTP/2.0", b"POST /predict HTTP/9.9", b"POST /predict HTTP/1.x", b"POST /predict HTTP/1",
        b"POST /predict http/1.1", b"POST /predict HTTPS/1.1", b"POST predict HTTP/1.1", b"POST  HTTP/1.1",
        b"POST /pre dict HTTP/1.1", b"POST /predict HTTP/1.1 x", b"POST /pre\x00dict HTTP/1.1",
        b"POST /pre\x7fdict HTTP/1.1", b"POST /pr\xc3\xa9dict HTTP/1.1", b"POST\t/predict\tHTTP/1.1",
        b" POST /predict HTTP/1.1", b"CONNECT /predict HTTP/1.1", b"CONNECT a:80 HTTP/1.1", b"PRI * HTTP/2.0",
        b"\x00", b"\xff\xfe\xfd", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HTTP/1.1 200 OK", b"{}",
        b"*",
        b"GET http://a HTTP/1.1", b"GET http://a?b HTTP/1.1", b"POST http:///predict HTTP/1.1",
        b"POST http://a:99999/predict HTTP/1.1",
    ]  # fmt: skip
    for line in lines:
        yield BadInput(f"request line: {line!r}", request(line=line), after="closed")


def _headers() -> Iterator[BadInput]:
    broken = [
        b"no colon", b": no name", b"space : before", b"with space in: name", b"b(r)acket: x", b"nul: a\x00b",
        b"control: a\x01b", b"delete: a\x7fb", b"n\xc3\xa4me: x", b"carriage: a\rb", b"folded: a\r\n b",
        b"x: a\nb",
    ]  # fmt: skip
    for header in broken:
        yield BadInput(f"header: {header!r}", request(GOOD, header), after="closed")
    huge = {
        "many": [b"X-%d: y" % number for number in range(10_000)],
        "many of one name": [b"Cookie: a=b"] * 5_000,
        "many empty": [b"X:"] * 20_000,
        "a long one": [b"X: " + b"y" * 40_000],
        "one of 1 MB": [b"X: " + b"y" * 1_000_000],
        "a long name": [b"X" * 40_000 + b": y"],
        "one too much": [b"X: " + b"y" * MAX_HEAD_BYTES],
        "long request id": [b"X-Request-Id: " + b"y" * 100_000],
    }
    for name, headers in huge.items():
        yield BadInput(f"headers: {name}", request(GOOD, *headers), 431, after="closed")
    for size in (40_000, 500_000):
        line = b"POST /predict?%b HTTP/1.1" % (b"q" * size)
        yield BadInput(f"url of {size} bytes", request(line=line), 431, after="closed")


def _routes() -> Iterator[BadInput]:
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "M-SEARCH"):
        yield BadInput(f"method: {method}", request(b"", line=f"{method} /predict HTTP/1.1".encode()), 405)
    yield BadInput("method: POST where GET belongs", request(line=b"POST /status HTTP/1.1"), 405)
    paths = [
        "/Predict", "/predict/", "/predict//", "/predict/x", "/predict;x", "/predict%00", "/predict%20",
        "/predict%2f", "/predict%0d%0aX:y", "/../predict", "/./predict", "/%2e%2e/predict", "/%ff", "/%", "/%zz",
        "/%u0041", "/nope", "/%c0%af", "/predict.json", "/static_content/index.html", "/docs.json", "/.env",
        "/" + "a" * 5_000, "/" + "%41" * 999, "/" + "../" * 50 + "etc/passwd",
        "*", "/%0a", "//predict", "http://a//predict",
    ]  # fmt: skip
    for path in paths:
        yield BadInput(f"path: {path[:40]}", request(line=f"POST {path} HTTP/1.1".encode()), 404)


def _sizes() -> Iterator[BadInput]:
    body = b'{"user_id": "u1"}'
    for name, size in {"one byte too much": MAX_BODY_BYTES + 1, "5 MB": 5_000_000}.items():
        large = body + b" " * (size - len(body))
        yield BadInput(f"size: {name}", request(large), 413)
        yield BadInput(f"size: {name} in chunks", in_chunks(*_pieces(large)), 413)
    yield BadInput("size: 5 MB without type", request(b" " * 5_000_000, kind=b""), 415)
    whole = {
        "one text": b'{"user_id": "%b"}', "one policy": b'{"user_id": "u1", "seen": "%b"}',
        "one key": b'{"%b": 1}',
    }  # fmt: skip
    for (name, form), field in zip(whole.items(), ("user_id", "seen", "x" * 256), strict=True):
        content = form % (b"x" * (MAX_BODY_BYTES - len(form) + 2))
        yield BadInput(f"size: all of it {name}", request(content), field=field)
    for name, byte in {
        "spaces": b" ",
        "brackets": b"[",
        "NUL": b"\x00",
        "quotes": b'"',
        "no UTF-8": b"\xff",
    }.items():
        yield BadInput(f"size: all of it {name}", request(byte * MAX_BODY_BYTES))
    colons = json.dumps({"history": [":" * 256] * 1000, "exclude": ["\\:" * 128] * 1000, "k": 0}).encode()
    yield BadInput("size: thousands of colons", request(colons), field="k")
    twice = colons.replace(b'"k": 0', b'"k": 1, "k": 1')
    yield BadInput("size: thousands of colons, a key twice", request(twice))


def _pieces(content: bytes, size: int = 50_000) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def _connections() -> Iterator[BadInput]:
    wrong = b'{"user_id": 7}'
    old = b"POST /predict HTTP/1.0"
    yield BadInput("HTTP/1.0", request(wrong, line=old), field="user_id", after="closed")
    kept = request(wrong, b"Connection: keep-alive", line=old)
    yield BadInput("HTTP/1.0 to be kept", kept, field="user_id", after="closed")
    yield BadInput("to be closed", request(wrong, b"Connection: close"), field="user_id", after="closed")
    yield BadInput("invited", request(wrong, b"Expect: 100-continue"), field="user_id")
    for protocol in (b"websocket", b"h2c", b"TLS/1.3"):
        upgrade = request(wrong, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol)
        yield BadInput(f"upgrade to {protocol.decode()}", upgrade, field="user_id")
    offer = (b"Connection: Upgrade", b"Upgrade: h2c")
    broken = request(b"zz", *offer, CHUNKED, length=b"")
    yield BadInput("upgrade with a broken chunk", broken, after="closed")
    broken = request(GOOD, *offer, line=b"GET http://a HTTP/1.1")
    yield BadInput("upgrade without a path", broken, after="closed")
    announced = request(b" " * 10, length=b"%d" % 10**12)
    yield BadInput("size: announced, and hardly begun", announced, 413, after="awaited")


def bad_http() -> Iterator[BadInput]:
    kinds = (
        _content_types, _content_lengths, _chunks, _lines, _headers, _routes, _sizes, _connections,
    )  # fmt: skip
    for kind in kinds:
        yield from kind()
