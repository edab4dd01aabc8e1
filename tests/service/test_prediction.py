import json

import pytest

from service.errors import InvalidRequest
from service.prediction import parse_predict


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_predict(body)
    return caught.value


def test_every_field_is_read() -> None:
    body = {"user_id": "ü:1", "history": ["a"], "k": 500, "exclude": ["b", "b"], "seen": "drop-last"}
    request = parse_predict(json.dumps(body).encode())
    assert (request.user_id, request.history, request.k) == ("ü:1", ["a"], 500)
    assert (request.exclude, request.seen) == (["b", "b"], "drop-last")


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b'{"user_id": "u", "k": "7"}', "k", "expected `int`, got `str`"),
        (b'{"user_id": "u", "k": 7.0}', "k", "expected `int`, got `float`"),
        (b'{"user_id": "u", "k": true}', "k", "expected `int`, got `bool`"),
        (b'{"user_id": "u", "k": 0}', "k", "expected `int` >= 1"),
        (b'{"user_id": "u", "k": 501}', "k", "expected `int` <= 500"),
        (b'{"user_id": "u", "k": 1e400}', "k", "out of range"),
        (b'{"user_id": 7}', "user_id", "expected `str`, got `int`"),
        (b'{"user_id": null}', "user_id", "expected `str`, got `null`"),
        (b'{"user_id": ""}', "user_id", "length >= 1"),
        (b'{"user_id": "%s"}' % (b"u" * 257), "user_id", "length <= 256"),
        (b'{"history": "i1"}', "history", "expected `array`, got `str`"),
        (b'{"history": ["i1", 2]}', "history[1]", "expected `str`, got `int`"),
        (b'{"history": [%s]}' % b",".join([b'"i"'] * 1001), "history", "length <= 1000"),
        (b'{"user_id": "u", "exclude": [""]}', "exclude[0]", "length >= 1"),
        (b'{"user_id": "u", "exclude": [%s]}' % b",".join([b'"i"'] * 1001), "exclude", "length <= 1000"),
        (b'{"user_id": "u", "seen": "hide"}', "seen", "'hide'; expected one of mask, keep, drop-last, first"),
        (b'{"user_id": "u", "n": 5}', "n", "unknown field"),
        (b'{"x": %s}' % (b"[" * 100_000), "x", "unknown field"),
        (b'{"a` - at `$.k": 5}', "a` - at `$.k", "unknown field"),
        (b'{"user_id": "u", "seen": "unknown field `x`"}', "seen", "unknown field `x`"),
        (b'{"user_id": "u", "seen": "two\\nlines"}', "seen", "lines"),
        (b'{"history": %s' % (b"[" * 100_000), "history[0]", "array"),
        (b'{"k": 5}', "user_id", "neither user_id nor history"),
        (b"{}", "user_id", "neither user_id nor history"),
    ],
)
def test_wrong_field_is_named_with_what_was_expected(body: bytes, field: str, message: str) -> None:
    error = refusal(body)
    assert error.field == field
    assert message in error.message


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"[]", b'"u"', b"{", b'{"user_id": "u"', b'{"user_id": "u"} x', b"{'user_id': 'u'}",
        b'{"user_id": "u", "k": NaN}', b'{"user_id": "u", "k": Infinity}', b'{"user_id": "u", "k": 01}',
        b'{"user_id": "u",}', b'{"user_id": "\xff"}', b'{"\xff": 1}', b'\xef\xbb\xbf{"user_id": "u"}',
        b'{"user_id": "\\ud800"}', b'{"user_id": "a\x00b"}', b"[" * 100_000,
        '{"user_id": "u"}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_body_that_is_no_json_object_in_utf8_is_refused(body: bytes) -> None:
    assert refusal(body).field is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id": "a", "user_id": "b"}',
        b'{"user_id": "a", "user_id": "a"}',
        b'{"user_id": "a", "k": 1, "k": 1}',
        b'{"user_id": "a", "\\u006b": 1, "k": 2}',
        b'{"history": ["a:b"], "history": ["c"]}',
        b'{"user_id": "quote\\":", "user_id": "b"}',
    ],
)
def test_key_that_stands_twice_is_refused(body: bytes) -> None:
    assert "twice" in refusal(body).message


@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id": "a:b"}',
        b'{"user_id": "\\":\\\\"}',
        b'{"history": [":", "\\\\", ":\\""], "exclude": ["user_id\\":"]}',
    ],
)
def test_colons_and_quotes_in_ids_are_no_second_key(body: bytes) -> None:
    expected = json.loads(body)
    request = parse_predict(body)
    assert {name: getattr(request, name) for name in expected} == expected
