"""What makes an answer count."""

import msgspec
import pytest

from loadtests.answers import WrongAnswer, check_answer
from loadtests.visits import Question

HISTORY = ["c", "d"]
QUESTION = Question("u", known=True, k=3, fewest=2, history=HISTORY)
CATALOG = frozenset({"a", "b", "c", "d"})
VERSION = "0123456789ab"
DEGRADED = {"source": "popular", "reason": "deadline", "degraded": True}


def check(question=QUESTION, *, echoed_id="r1", policy=None, catalog=CATALOG, **changes):
    answer = {
        "request_id": "r1",
        "items": [{"item_id": "a", "score": 2.0}, {"item_id": "b", "score": 1}],
        "model": {"name": "popularity", "variant": "fp32", "version": VERSION},
        "source": "model",
        "reason": "ok",
        "degraded": False,
    }
    body = msgspec.json.encode({k: v for k, v in (answer | changes).items() if v is not None})
    return check_answer(question, body, "r1", echoed_id, catalog, {VERSION: policy} if policy else {})


def items(*ids):
    return [{"item_id": item, "score": 0.0} for item in ids]


def test_answer_as_promised_counts():
    assert check().source == "model"
    assert len(check(items=items("a", "b", "c")).items) == 3
    assert check(**DEGRADED).degraded


def test_field_that_we_do_not_know_is_no_complaint():
    assert check(experiment="blue").reason == "ok"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"items": items("a")}, "1 items where 3 were asked for"),
        ({"items": []}, "0 items where 3 were asked for"),
        ({"items": items("a", "b", "c", "d")}, "4 items where 3 were asked for"),
        ({"items": items("a", "a")}, "an item comes twice"),
        ({"items": items("a", "z")}, "an item is not in the catalog"),
        ({"items": [{"item_id": "a"}]}, "missing required field `score`"),
        ({"items": [{"item_id": 7, "score": 0.0}]}, "Expected `str`, got `int`"),
        ({"request_id": "r2"}, "request id is not the one that was sent"),
        ({"model": None}, "missing required field `model`"),
        ({"source": None}, "missing required field `source`"),
        ({"source": "oracle"}, "Invalid enum value 'oracle'"),
        ({"reason": None}, "missing required field `reason`"),
        ({"reason": "because"}, "Invalid enum value 'because'"),
        ({"degraded": True}, "reason ok with degraded true"),
        ({"reason": "deadline"}, "reason deadline with degraded false"),
    ],
)
def test_answer_that_breaks_a_promise_is_wrong_and_says_which(changes, complaint):
    with pytest.raises(WrongAnswer) as wrong:
        check(**changes)
    assert complaint in str(wrong.value)


def test_complaints_about_two_answers_are_equal_so_that_they_add_up():
    def complaint(item):
        with pytest.raises(WrongAnswer) as wrong:
            check(items=items("a", item))
        return str(wrong.value)

    assert complaint("y") == complaint("z")


@pytest.mark.parametrize("echoed_id", [None, "", "r2"])
def test_request_id_must_come_back_in_the_header_too(echoed_id):
    with pytest.raises(WrongAnswer, match="request id"):
        check(echoed_id=echoed_id)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b"\xff", b'{"request_id": "\xff"}'])
def test_body_that_is_no_answer_is_wrong(body):
    with pytest.raises(WrongAnswer, match="cannot be read"):
        check_answer(QUESTION, body, sent_id="r1", echoed_id="r1")


def test_without_a_catalog_every_item_is_allowed():
    assert len(check(items=items("y", "z"), catalog=()).items) == 2


@pytest.mark.parametrize(("policy", "unwanted"), [("mask", "c"), ("mask", "d"), ("drop-last", "d")])
def test_item_that_the_repeat_policy_of_the_model_forbids_is_wrong(policy, unwanted):
    with pytest.raises(WrongAnswer, match=f"an item that the user has seen, which repeat policy {policy} forbids"):
        check(items=items("a", unwanted), policy=policy)


@pytest.mark.parametrize(
    ("policy", "seen"),
    [("drop-last", ["c"]), ("keep", HISTORY), ("first", HISTORY), ("not yet invented", HISTORY), (None, HISTORY)],
)
def test_seen_item_counts_where_the_policy_allows_it_or_is_not_known(policy, seen):
    assert len(check(items=items("a", *seen), policy=policy).items) == 1 + len(seen)


def test_policy_of_one_version_says_nothing_about_another():
    model = {"name": "popularity", "variant": "fp32", "version": "promoted-now"}
    assert check(items=items("c", "d"), policy="mask", model=model).model.version == "promoted-now"


def test_repeat_policy_binds_the_model_alone_and_nobody_without_a_history():
    assert check(items=items("c", "d"), policy="mask", **DEGRADED).source == "popular"
    cold = Question("c", known=False, k=3, fewest=2)
    assert check(cold, items=items("c", "d"), policy="mask").source == "model"
