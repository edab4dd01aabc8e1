"""What /events takes and what it says of the rest."""

import json
import time

import pytest

from contracts.events import Event
from contracts.sections import Events
from service.errors import InvalidRequest
from service.event_intake import MAX_EVENTS, parse_events

NOW_MS = int(time.time() * 1000)
GOOD = {"event_id": "e1", "type": "click", "user_id": "u1", "item_id": "i1", "timestamp": NOW_MS}


def parse(*events: object, **settings: object):
    return parse_events(json.dumps({"events": events}).encode(), Events(**settings))


def rejected(**changed: object) -> tuple[str, str]:
    """Code and message for one event that differs from a good one."""
    accepted, (one,) = parse(GOOD, {**GOOD, **changed})
    assert len(accepted) == 1
    assert one.index == 1
    return one.code, one.message


def test_a_good_event_comes_as_it_was_sent():
    more = {"request_id": "r", "position": 2, "value": 9.5}
    (event,), none = parse({**GOOD, **more})
    assert event == Event("e1", "click", "u1", "i1", NOW_MS, "r", 2, 9.5)
    assert none == []


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("2026-11-21T12:00:00Z", 1_795_262_400_000),
        ("2026-11-21T13:00:00.123+01:00", 1_795_262_400_123),
        (1_795_262_400_000, 1_795_262_400_000),
    ],
)
def test_times_are_milliseconds_or_rfc_3339(monkeypatch, written, milliseconds):
    monkeypatch.setattr("service.event_intake.time", lambda: 1_795_262_400 + 60)
    (event,), _ = parse({**GOOD, "timestamp": written})
    assert event.timestamp == milliseconds


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"type": "glance"}, "unknown_type", "'glance', expected one of impression, click"),
        ({"timestamp": NOW_MS + 10**9}, "invalid_timestamp", "ahead"),
        ({"timestamp": NOW_MS // 1000}, "invalid_timestamp", "not seconds"),
        ({"timestamp": -5}, "invalid_timestamp", "before 1973"),
        ({"timestamp": "yesterday"}, "invalid_event", "RFC3339"),
        ({"timestamp": "2026-11-21T12:00:00"}, "invalid_event", "timezone"),
        ({"timestamp": 1.5}, "invalid_event", "timestamp"),
        ({"timestamp": None}, "invalid_event", "timestamp"),
        ({"event_id": ""}, "invalid_event", "event_id"),
        ({"event_id": "x" * 257}, "invalid_event", "event_id"),
        ({"user_id": 7}, "invalid_event", "user_id"),
        ({"item_id": None}, "invalid_event", "item_id"),
        ({"position": 0}, "invalid_event", "position"),
        ({"value": "much"}, "invalid_event", "value"),
        ({"colour": "red"}, "invalid_event", "unknown field 'colour'"),
    ],
)
def test_a_wrong_event_says_what_is_wrong_and_costs_only_itself(changed, code, words):
    found, message = rejected(**changed)
    assert found == code
    assert words in message


def test_missing_parts_and_things_that_are_no_event_are_named():
    accepted, found = parse({k: v for k, v in GOOD.items() if k != "user_id"}, 7, None, [], GOOD)
    assert [one.index for one in found] == [0, 1, 2, 3]
    assert "user_id" in found[0].message
    assert len(accepted) == 1


def test_a_key_that_stands_twice_is_no_event():
    twice = json.dumps(GOOD)[:-1] + ', "item_id": "i2"}'
    _, (one,) = parse_events(b'{"events": [%b]}' % twice.encode(), Events())
    assert "twice" in one.message


def test_an_event_that_is_not_utf_8_is_no_event():
    wrong = json.dumps(GOOD).encode().replace(b"i1", b"\xff\xfe")
    _, (one,) = parse_events(b'{"events": [%b]}' % wrong, Events())
    assert (one.code, one.message) == ("invalid_event", "the event is not valid UTF-8; expected JSON in UTF-8")


def test_types_are_those_of_the_settings():
    accepted, _ = parse({**GOOD, "type": "glance"}, types=("glance",), weights=(1.0,), history=())
    assert accepted[0].type == "glance"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b"[]", "Expected `object`"),
        (b"{}", "events"),
        (b'{"events": []}', "events"),
        (b'{"events": 7}', "events"),
        (b'{"events": [1], "more": 1}', "unknown field 'more'"),
        (b'{"events": [1', "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"events": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", "nested too deeply"),
        (b'{"events": [' + b",".join([b"1"] * (MAX_EVENTS + 1)) + b"]}", "<= 500"),
    ],
)
def test_a_body_that_is_no_list_of_events_is_refused(body, words):
    with pytest.raises(InvalidRequest) as caught:
        parse_events(body, Events())
    assert words.lower() in caught.value.message.lower()
