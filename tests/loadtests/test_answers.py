"""What makes an answer count."""

import msgspec
import pytest

from loadtests.answers import WrongAnswer, check_answer
from loadtests.traffic import Question

QUESTION = Question("u", known=True, k=3, fewest=2)
CATALOG = frozenset({"a", "b", "c", "d"})


def check(*, echoed_id="r1", **changes):
    answer = {
        "request_id": "r1",
        "items": [{"item_id": "a", "score": 2.0}, {"item_id": "b", "score": 1}],
        "model": {"name": "popularity", "variant": "fp32", "version": "0123456789ab"},
        "source": "model",
        "reason": "ok",
        "degraded": False,
    }
    body = msgspec.json.encode({k: v for k, v in (answer | changes).items() if v is not None})
    return check_answer(QUESTION, body, sent_id="r1", echoed_id=echoed_id, catalog=CATALOG)


def items(*ids):
    return [{"item_id": item, "score": 0.0} for item in ids]


def test_answer_as_promised_counts():
    assert check().source == "model"
    assert len(check(items=items("a", "b", "c")).items) == 3
    assert check(reason="deadline", degraded=True, source="popular").degraded


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"items": items("a")}, "1 items where 3 were asked for"),
        ({"items": items("a", "b", "c", "d")}, "4 items where 3 were asked for"),
        ({"items": items("a", "a")}, "an item comes twice"),
        ({"items": items("a", "z")}, "an item is not in the catalog"),
        ({"items": [{"item_id": "a"}]}, "missing required field `score`"),
        ({"request_id": "r2"}, "request id is not the one that was sent"),
        ({"source": None}, "missing required field `source`"),
        ({"reason": None}, "missing required field `reason`"),
        ({"reason": "because"}, "Invalid enum value 'because'"),
        ({"degraded": True}, "reason ok with degraded true"),
        ({"reason": "deadline"}, "reason deadline with degraded false"),
    ],
)
def test_answer_that_breaks_a_promise_is_wrong_and_says_which(changes, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        check(**changes)


def test_request_id_must_come_back_in_the_header_too():
    with pytest.raises(WrongAnswer, match="request id"):
        check(echoed_id=None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"request_id": "\xff"}'])
def test_body_that_is_no_answer_is_wrong(body):
    with pytest.raises(WrongAnswer, match="cannot be read"):
        check_answer(QUESTION, body, sent_id="r1", echoed_id="r1")
