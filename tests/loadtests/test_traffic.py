"""Who is asked for: the traffic file, and the mix of known and cold users."""

import json
from collections import Counter

import pytest

from contracts.faults import UsageFault
from loadtests.traffic import KnownUser, Traffic, Visits, read_traffic

USER = {"user_id": "u", "history": ["a"]}


def write(path, **changes):
    path.write_text(json.dumps({"schema_version": 1, "items": ["a", "b"], "users": [USER]} | changes))
    return path


def test_traffic_file_brings_catalog_and_histories(tmp_path):
    traffic = read_traffic(write(tmp_path / "traffic.json"))
    assert traffic.catalog == {"a", "b"}
    assert traffic.users == [KnownUser("u", ["a"])]
    assert traffic.median_history == 1


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"schema_version": 2}, "found schema version 2, expected 1"),
        ({"users": []}, "found 0 users and 2 items"),
        ({"items": []}, "found 1 users and 0 items"),
        ({"users": [{"user_id": "u", "history": []}]}, "found 1 users and 2 items"),
        ({"users": [{"user_id": 7, "history": ["a"]}]}, "Expected `str`, got `int`"),
        ({"extra": 1}, "unknown field `extra`"),
    ],
)
def test_bad_traffic_file_is_refused_with_what_was_found_and_the_remedy(tmp_path, changes, found):
    with pytest.raises(UsageFault) as refused:
        read_traffic(write(tmp_path / "traffic.json", **changes))
    assert found in str(refused.value)
    assert "flyweight materialize --traffic" in str(refused.value)


def test_user_without_any_item_of_the_catalog_is_not_asked_for(tmp_path):
    others = [{"user_id": "gone", "history": ["x", "y"]}, {"user_id": "new", "history": []}]
    traffic = read_traffic(write(tmp_path / "traffic.json", users=[*others, USER]))
    assert [user.user_id for user in traffic.users] == ["u"]


def ask(traffic, times, *, known_percent, zipf_exponent=1.0, k=10):
    visits = Visits(traffic, known_percent=known_percent, zipf_exponent=zipf_exponent, k=k)
    return [visits.next_question() for _ in range(times)]


def test_mix_holds_the_stated_share_of_known_users():
    traffic = Traffic(items=["a"], users=[KnownUser("u", ["a"])])
    known = sum(question.known for question in ask(traffic, 10_000, known_percent=80))
    assert abs(known - 8000) < 5 * 40  # five standard deviations of sqrt(10000 * .8 * .2)


def test_first_user_asks_twice_as_often_as_the_second_by_zipfs_law():
    traffic = Traffic(items=["a"], users=[KnownUser("first", ["a"]), KnownUser("second", ["a"])])
    asked = Counter(question.user_id for question in ask(traffic, 9000, known_percent=100))
    assert set(asked) == {"first", "second"}
    assert abs(asked["first"] - 6000) < 5 * 45  # of 9000: 1 / (1 + 1/2); deviation sqrt(9000 * 2/3 * 1/3)


def test_without_traffic_every_user_is_cold_and_nobody_comes_twice():
    questions = ask(Traffic(), 1000, known_percent=80)
    assert not any(question.known for question in questions)
    assert len({question.user_id for question in questions}) == 1000
    assert {question.fewest for question in questions} == {10}


def test_fewer_items_are_enough_only_where_fewer_remain():
    items = [f"i{n}" for n in range(12)]
    traffic = Traffic(items=items, users=[KnownUser("u", items[:5])])
    (known,) = ask(traffic, 1, known_percent=100)
    (cold,) = ask(traffic, 1, known_percent=0)
    assert (known.fewest, cold.fewest) == (12 - 5, 10)
