"""The traffic file: what it brings, and why one is refused."""

import json

import pytest

from contracts.faults import UsageFault
from loadtests.traffic import KnownUser, Traffic, read_traffic

USER = {"user_id": "u", "history": ["a"]}
GONE = {"user_id": "gone", "history": ["x", "y"]}
NEW = {"user_id": "new", "history": []}


def write(folder, **changes):
    path = folder / "traffic.json"
    content = {"schema_version": 2, "items": ["a", "b"], "users": [USER], "visits": [[0, 0], [1.5, 0]]}
    path.write_text(json.dumps(content | changes))
    return path


def test_traffic_file_brings_catalog_histories_and_visits(tmp_path):
    traffic = read_traffic(write(tmp_path))
    assert traffic.catalog == {"a", "b"}
    assert traffic.users == [KnownUser("u", ["a"])]
    assert traffic.visits == [(0.0, 0), (1.5, 0)]
    assert traffic.median_history == 1


def test_file_without_visits_serves_all_but_a_replay(tmp_path):
    assert read_traffic(write(tmp_path, visits=[])).visits == []


def test_median_history_is_that_of_the_user_in_the_middle():
    users = [KnownUser("u", ["a"] * length) for length in (1, 2, 30)]
    assert Traffic(["a"], users).median_history == 2
    assert Traffic().median_history == 0


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"schema_version": 1}, "found schema version 1, expected 2"),
        ({"schema_version": 3}, "found schema version 3, expected 2"),
        ({"users": [], "visits": []}, "found 0 users and 2 items"),
        ({"items": []}, "found 1 users and 0 items"),
        ({"users": [NEW]}, "found 1 users and 2 items"),
        ({"users": [{"user_id": 7, "history": ["a"]}]}, "Expected `str`, got `int`"),
        ({"users": [USER | {"age": 7}]}, "unknown field `age`"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"visits": [[0, 1]]}, "a visit names a user that is not there"),
        ({"visits": [[0, -1]]}, "a visit names a user that is not there"),
        ({"visits": [[0]]}, "length 2"),
        ({"visits": [["noon", 0]]}, "Expected `float`, got `str`"),
    ],
)
def test_bad_traffic_file_is_refused_with_what_was_found_and_the_remedy(tmp_path, changes, found):
    path = write(tmp_path, **changes)
    with pytest.raises(UsageFault) as refused:
        read_traffic(path)
    assert found in str(refused.value)
    assert str(path) in str(refused.value)
    assert "flyweight materialize --traffic" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"user_id,item_id\n", b"[]", b'{"items": ["a', b'{"items": ["\xff"]}'])
def test_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "traffic.json"
    path.write_bytes(content)
    with pytest.raises(UsageFault, match="is no traffic file"):
        read_traffic(path)


def test_file_that_is_not_there_is_refused_by_its_name(tmp_path):
    with pytest.raises(UsageFault, match=r"missing\.json cannot be read: No such file"):
        read_traffic(tmp_path / "missing.json")


def test_user_without_any_item_of_the_catalog_is_not_asked_for(tmp_path):
    traffic = read_traffic(write(tmp_path, users=[GONE, NEW, USER], visits=[]))
    assert [user.user_id for user in traffic.users] == ["u"]


def test_visits_still_name_the_same_users_when_others_are_left_out(tmp_path):
    users = [GONE, USER, NEW, {"user_id": "v", "history": ["x", "b"]}]
    visits = [[0, 3], [1, 0], [2, 1], [3, 2], [4, 3]]
    traffic = read_traffic(write(tmp_path, users=users, visits=visits))
    came = [(moment, traffic.users[place].user_id) for moment, place in traffic.visits]
    assert came == [(0.0, "v"), (2.0, "u"), (4.0, "v")]
