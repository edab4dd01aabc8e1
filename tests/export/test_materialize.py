"""Histories from a log reach the feature cache as item numbers, newest last."""

import json
import time

import msgspec
import pytest
from redis import Redis

from contracts.faults import RunNotValid, UsageFault
from contracts.sections import Features
from export.materialize import materialize, write_traffic
from export.recommendation import histories_of_cache
from models.logs.log import read_log
from service.embedded_redis import embedded_redis
from service.feature_cache import MARKER_KEY, key_of
from service.redis_clients import connect


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with embedded_redis(tmp_path_factory.mktemp("state")) as url:
        yield url


@pytest.fixture
def write(tmp_path, exported):
    """Writes a log of rows (user, item, second) and reads it."""

    def write(*rows):
        path = tmp_path / "some.csv"
        path.write_text(
            "user_id,item_id,timestamp\n" + "".join(f"{u},{i},{1_700_000_000 + t}\n" for u, i, t in rows)
        )
        return read_log(path, exported.settings.log)

    return write


@pytest.fixture
def ids(sealed):
    return sealed["popularity"].catalog.item_ids


def test_a_user_is_read_back_as_the_log_has_it(redis_url, write, ids, exported, sealed):
    log = write(("u1", ids[3], 2), ("u1", ids[5], 1), ("u2", ids[7], 3), ("u1", ids[3], 4))
    filled = materialize(log, exported.settings, redis_url)
    assert (filled.users, filled.interactions, filled.without_number) == (2, 4, 0)
    catalog = sealed["popularity"].catalog
    assert histories_of_cache(redis_url, ["u1", "u2", "nobody"], catalog) == [[5, 3, 3], [7], []]


def test_only_the_newest_are_kept_and_they_expire(redis_url, write, ids, exported, sealed):
    settings = msgspec.structs.replace(exported.settings, features=Features(history_length=2, ttl_days=3))
    materialize(write(*(("u1", ids[at], at) for at in range(5))), settings, redis_url)
    assert histories_of_cache(redis_url, ["u1"], sealed["popularity"].catalog) == [[3, 4]]
    with connect(redis_url) as redis:
        assert 0 < redis.ttl(key_of("u1")) <= 3 * 24 * 3600
        assert redis.ttl(MARKER_KEY) == -1


def test_what_is_newer_in_the_cache_stays_unless_it_is_replaced(redis_url, write, ids, exported, sealed):
    catalog, settings = sealed["popularity"].catalog, exported.settings
    materialize(write(("u1", ids[1], 1), ("u1", ids[2], 20)), settings, redis_url, replace=True)
    older = write(("u1", ids[5], 10), ("u1", ids[6], 11))
    materialize(older, settings, redis_url)
    assert histories_of_cache(redis_url, ["u1"], catalog) == [[5, 6, 2]]
    materialize(older, settings, redis_url, replace=True)
    assert histories_of_cache(redis_url, ["u1"], catalog) == [[5, 6]]


def test_items_without_a_number_stay_out_and_are_counted(redis_url, write, ids, exported, sealed):
    log = write(("u1", "never-trained", 1), ("u1", ids[4], 2), ("u8", "never-trained", 3))
    filled = materialize(log, exported.settings, redis_url, replace=True)
    assert (filled.users, filled.interactions, filled.without_number) == (1, 1, 2)
    assert histories_of_cache(redis_url, ["u1", "u8"], sealed["popularity"].catalog) == [[4], []]


class CutShort(Exception):
    pass


def test_cut_short_it_goes_on_where_it_was(redis_url, write, ids, exported, monkeypatch):
    users = [f"u{n}" for n in range(300)]
    log = write(*((user, ids[n % 10], n) for n, user in enumerate(users)))
    with connect(redis_url) as redis:
        redis.flushall()
        told = []

        def cut_after_half(task, done, total, note=""):
            told.append(done)
            if done == total:
                raise CutShort

        with pytest.raises(CutShort):
            materialize(log, exported.settings, redis_url, cut_after_half)
        assert not redis.exists(MARKER_KEY)
        redis.delete(key_of("u1"))  # to see that it is not written again
        assert materialize(log, exported.settings, redis_url).users == 300
        assert redis.exists(*map(key_of, users)) == 299
        assert redis.exists(MARKER_KEY)
        assert materialize(log, exported.settings, redis_url).users == 300  # a new call writes everything
        assert redis.exists(*map(key_of, users)) == 300


def test_the_forecast_is_what_redis_says(redis_url, write, ids, exported):
    """What the users take is what Redis holds less once they are gone."""
    with connect(redis_url) as redis:
        redis.flushall()
        log = write(*((f"user-{n}", ids[at % 10], 10 * at) for n in range(2000) for at in range(20)))
        found = materialize(log, exported.settings, redis_url).memory
        until_alone(redis)
        full = bytes_held(redis)
        redis.flushall()
        taken = full - bytes_held(redis)
    assert found.bytes_per_user == pytest.approx(taken / 2000, rel=0.15)


def until_alone(redis: Redis) -> None:
    """Who wrote has hung up, but Redis may keep its buffers for a moment yet."""
    deadline = time.monotonic() + 20
    while len(redis.client_list()) > 1:
        assert time.monotonic() < deadline, redis.client_list()
        time.sleep(0.01)


def bytes_held(redis: Redis) -> int:
    """All that Redis has allocated, but for what it has yet to write to its file."""
    memory = redis.memory_stats()
    return memory["total.allocated"] - memory["aof.buffer"]


def test_before_any_export_there_is_nothing_to_write(redis_url, write, elsewhere):
    with pytest.raises(UsageFault, match="Run `flyweight train` and `flyweight export` first"):
        materialize(write(("u1", "i1", 1), ("u1", "i2", 2)), elsewhere, redis_url)


def test_a_redis_that_is_away_is_told_as_such(write, ids, exported, sealed):
    away = "redis://127.0.0.1:1"
    with pytest.raises(RunNotValid, match="the feature cache cannot be filled"):
        materialize(write(("u1", ids[0], 1), ("u1", ids[1], 2)), exported.settings, away)
    with pytest.raises(RunNotValid, match="feature_cache_down"):
        histories_of_cache(away, ["u1"], sealed["popularity"].catalog)


def test_a_cache_that_was_flushed_is_not_taken_for_cold_users(redis_url, sealed):
    with connect(redis_url) as redis:
        redis.flushall()
    with pytest.raises(RunNotValid, match="feature_cache_empty"):
        histories_of_cache(redis_url, ["u1"], sealed["popularity"].catalog)


def test_traffic_names_who_did_most_first(write, ids, sealed, tmp_path):
    log = write(("a", ids[0], 1), ("b", ids[1], 2), ("b", ids[2], 3), ("b", ids[3], 4))
    write_traffic(log, sealed["popularity"], 2, tmp_path / "traffic.json")
    traffic = json.loads((tmp_path / "traffic.json").read_text())
    assert traffic["users"] == [
        {"user_id": "b", "history": [ids[2], ids[3]]},
        {"user_id": "a", "history": [ids[0]]},
    ]
    assert traffic["items"] == list(ids)
    assert traffic["visits"] == [[0, 1], [1, 0], [2, 0], [3, 0]]  # seconds, place in the users
