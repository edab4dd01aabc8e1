"""Bodies that are no question: wrong types, numbers, lengths, fields, JSON, unicode; too deep; a key twice."""

import json
from collections.abc import Iterable, Iterator

from service.prediction import MAX_EXCLUDED, MAX_HISTORY_IDS
from tests.service.bad_input import GOOD, BadInput, request

DEEP = 10_000
ASTRAL = "\U0001f980"


def _bodies(kind: str, bodies: Iterable[tuple[str, bytes | str, str | None]]) -> Iterator[BadInput]:
    for name, body, field in bodies:
        content = body if isinstance(body, bytes) else body.encode()
        yield BadInput(f"{kind}: {name}", request(content), field=field)


_VALUES = ("null", "true", "false", "7", "-0", "1.5", '"text"', '""', "[]", "{}")
_LISTS = ("[7]", "[null]", "[true]", "[1.5]", "[[]]", "[{}]", '[["i1"]]', '[""]')
_ALLOWED = {
    "user_id": {'"text"'},
    "history": {"[]"},
    "exclude": {"[]"},
    "k": {"7"},
    "seen": set(),
}


def _types() -> Iterator[BadInput]:
    """Every field with every kind of value that is not its own."""

    def bodies() -> Iterator[tuple[str, str, str]]:
        for name, allowed in _ALLOWED.items():
            is_list = name in ("history", "exclude")
            for value in (*_VALUES, *_LISTS):
                if value not in allowed:
                    field = f"{name}[0]" if is_list and value in _LISTS else name
                    yield f"{name} is {value}", _with(name, value), field

    yield from _bodies("type", bodies())


def _with(name: str, value: str) -> str:
    """A body in which this field has this value and nothing else is wrong."""
    others = "" if name in ("user_id", "history") else '"user_id": "u1", '
    return f'{{{others}"{name}": {value}}}'


def _numbers() -> Iterator[BadInput]:
    out_of_range = [
        "0", "-1", "-500", "501", "65536", "4294967297", "9223372036854775808", "18446744073709551617",
        "-9223372036854775809", "1" + "0" * 400, "1e2", "5.0", "1e999", "-1e999", "1e-999", "0.0", "-0.0",
        "0x10", "0b1",
    ]  # fmt: skip
    no_json = [
        "NaN", "-NaN", "nan", "Infinity", "-Infinity", "01", "-01", "+1", "1_0", ".5", "5.", "1e",
        "-", "--1", "1,0", "٣", "True", "None", "undefined", "",
    ]  # fmt: skip
    yield from _bodies("number", ((value[:24], _with("k", value), "k") for value in out_of_range))
    yield from _bodies("no number", ((value, _with("k", value), None) for value in no_json))


def _lengths() -> Iterator[BadInput]:
    """One more than each limit; in characters, whatever they take in bytes."""
    for label, character in {"ascii": "u", "two bytes": "ü", "four bytes": ASTRAL}.items():
        long = character * 257
        cases = {"user_id": long, "history": [long], "exclude": [long]}
        for name, value in cases.items():
            field = name if name == "user_id" else f"{name}[0]"
            body = json.dumps({"user_id": "u1"} | {name: value}, ensure_ascii=False)
            yield from _bodies("too long", [(f"{name} in {label}", body, field)])
            if character != "u":
                escaped = json.dumps({"user_id": "u1"} | {name: value})
                yield from _bodies("too long, escaped", [(f"{name} in {label}", escaped, field)])
    many = {"history": MAX_HISTORY_IDS, "exclude": MAX_EXCLUDED}
    for name, limit in many.items():
        yield from _bodies("too many", [(name, json.dumps({"user_id": "u1", name: ["i1"] * (limit + 1)}), name)])
        last_wrong = json.dumps({"user_id": "u1", name: ["i1"] * (limit - 1) + [7]})
        yield from _bodies("last wrong", [(name, last_wrong, f"{name}[{limit - 1}]")])


def _fields() -> Iterator[BadInput]:
    lacking = [
        "{}",
        '{"k": 5}',
        '{"exclude": []}',
        '{"seen": "mask"}',
        '{"k": 5, "exclude": ["i1"], "seen": "keep"}',
    ]
    yield from _bodies("neither user nor history", ((body, body, "user_id") for body in lacking))
    unknown = [
        "n", "USER_ID", "userId", "user-id", " user_id", "user_id ", "us\u0435r_id", "", "K", "__proto__",
        "k\x00", "a.b", "$", "a` - at `$.k", "<script>", "..", ASTRAL, "x" * 256,
    ]  # fmt: skip
    named = ((repr(name)[:24], json.dumps({"user_id": "u1", name: 1}), name) for name in unknown)
    yield from _bodies("unknown field", named)
    long = json.dumps({"user_id": "u1", "x" * 10_000: 1})
    yield from _bodies("unknown field", [("of 10,000 characters", long, "x" * 256)])
    for value in ("MASK", "mask ", "drop_last", "hide", "mask\x00", ASTRAL, "x" * 100_000):
        yield from _bodies("no policy", [(repr(value)[:24], json.dumps({"user_id": "u1", "seen": value}), "seen")])


def _syntax() -> Iterator[BadInput]:
    cases = {
        "empty": "", "space": " ", "newlines": "\n\n", "null": "null", "true": "true", "number": "7",
        "text": '"u1"', "list": "[]", "list of one": '[{"user_id": "u1"}]', "open": "{", "closed": "}",
        "single quotes": "{'user_id': 'u1'}", "no quotes": "{user_id: 1}",
        "comma at the end": '{"user_id": "u1",}', "comma at the start": '{,"user_id": "u1"}',
        "no colon": '{"user_id" "u1"}', "two colons": '{"user_id":: "u1"}',
        "no comma": '{"user_id": "u1" "k": 1}', "comment": '{"user_id": "u1"} // me',
        "comment inside": '{"user_id": /* me */ "u1"}', "two objects": '{"user_id": "u1"}{"user_id": "u1"}',
        "lines of objects": '{"user_id": "u1"}\n{"user_id": "u2"}', "garbage behind": '{"user_id": "u1"} x',
        "brace behind": '{"user_id": "u1"}}', "NUL behind": '{"user_id": "u1"}\x00', "no key": '{: "u1"}',
        "number for a key": '{1: "u1"}', "form": "user_id=u1&k=3", "xml": "<user_id>u1</user_id>",
        "yaml": "user_id: u1", "python": "dict(user_id='u1')", "javascript": 'while(1);{"user_id": "u1"}',
        "tab in text": '{"user_id": "a\tb"}', "newline in text": '{"user_id": "a\nb"}',
        "NUL in text": '{"user_id": "a\x00b"}', "bad escape": '{"user_id": "\\x41"}',
        "half an escape": '{"user_id": "\\u12"}', "open text": '{"user_id": "u1}',
    }  # fmt: skip
    yield from _bodies("syntax", ((name, body, None) for name, body in cases.items()))
    whole = b'{"user_id": "u1", "history": ["i1", "i2"], "k": 5, "seen": "mask"}'
    cuts = range(3, len(whole), 4)
    yield from _bodies("truncated", ((f"after {cut} bytes", whole[:cut], None) for cut in cuts))


def _unicode() -> Iterator[BadInput]:
    raw = {
        "no UTF-8": b"\xff", "lone continuation": b"\x80", "overlong NUL": b"\xc0\x80",
        "overlong slash": b"\xc0\xaf", "overlong in three": b"\xe0\x80\xaf",
        "overlong in four": b"\xf0\x80\x80\xaf", "surrogate": b"\xed\xa0\x80",
        "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80", "beyond the last": b"\xf4\x90\x80\x80",
        "five bytes": b"\xf8\x88\x80\x80\x80", "cut short": b"\xe2\x82", "latin-1": "ü".encode("latin-1"),
    }  # fmt: skip
    for name, content in raw.items():
        yield from _bodies("unicode", [(f"{name} in a value", b'{"user_id": "%b"}' % content, None)])
        yield from _bodies("unicode", [(f"{name} in a key", b'{"user_id": "u1", "%b": 1}' % content, None)])
    for name, escape in {"high": "\\ud800", "low": "\\udc00", "two high": "\\ud800\\ud800"}.items():
        yield from _bodies("unicode", [(f"lone surrogate, {name}", f'{{"user_id": "{escape}"}}', None)])
    text = GOOD.decode()
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"):
        content = text.encode(encoding) if encoding != "utf-7" else text.replace('"', "+ACI-").encode()
        yield from _bodies("unicode", [(encoding, content, None)])


def _depth() -> Iterator[BadInput]:
    for name, (opened, closed) in {"lists": ("[", "]"), "objects": ('{"a":', "}")}.items():
        middle = "" if opened == "[" else "1"
        for suffix, tail in {"": middle + closed * DEEP, ", open": ""}.items():
            nested = opened * DEEP + tail
            yield from _bodies("deep", [(f"{name}{suffix}", nested, None if opened == "[" else "a")])
            for field in ("user_id", "k", "seen", "history", "exclude", "x"):
                at = f"{field}[0]" if opened == "[" and field in ("history", "exclude") else field
                yield from _bodies("deep", [(f"{name} in {field}{suffix}", _open_with(field, nested, tail), at)])


def _open_with(field: str, nested: str, tail: str) -> str:
    whole = _with(field, nested)
    return whole if tail else whole.removesuffix("}")


def _twice() -> Iterator[BadInput]:
    values = {"user_id": '"u1"', "history": '["i1"]', "k": "3", "exclude": '["i2"]', "seen": '"mask"'}
    for name, value in values.items():
        body = _with(name, value).removesuffix("}") + f', "{name}": {value}}}'
        yield from _bodies("twice", [(name, body, None)])
    cases = {
        "escaped": '{"user_id": "u1", "\\u006b": 1, "k": 2}',
        "a hundred times": "{" + ", ".join(['"user_id": "u1"'] * 100) + "}",
        "with colons in text": '{"history": ["a:b"], "history": ["c"]}',
        "with quotes in text": '{"user_id": "quote\\":", "user_id": "b"}',
    }
    yield from _bodies("twice", ((name, body, None) for name, body in cases.items()))


def bad_bodies() -> Iterator[BadInput]:
    for kind in (_types, _numbers, _lengths, _fields, _syntax, _unicode, _depth, _twice):
        yield from kind()
