"""Events in a real Redis, one server or a Cluster of three: history, duplicates and stream change together."""

import asyncio
import random
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from contracts.events import PARTITIONS, Event, events_key, partition_of
from service.errors import EventsUnavailable
from service.event_store import EventStore, Recordable
from service.feature_cache import key_of
from service.filling import History, write_histories
from service.history import pack, unpack_numbers, unpack_times
from service.redis_clients import connect, connect_async
from tests.service.in_process import as_histories

NOW_MS = 1_800_000_000_000
LIMITS = {"history_length": 5, "ttl_seconds": 600, "dedup_seconds": 3600, "timeout_seconds": 5.0}


class Stored:
    """A store on an emptied Redis, and what a test wants to see of it."""

    def __init__(self, url: str, *, cluster: bool = False) -> None:
        self.url, self.cluster = url, cluster
        self.redis = connect(url, cluster=cluster)
        self.redis.flushall()
        self.ids = iter(f"event-{n}" for n in range(10**6))

    def record(self, *recordables: Recordable, **limits: int) -> list[bool]:
        async def once() -> list[bool]:
            store = EventStore(connect_async(self.url, cluster=self.cluster, timeout_ms=2000), **(LIMITS | limits))
            try:
                return await store.record(recordables)
            finally:
                await store.close()

        return asyncio.run(once())

    def event(self, user: str, number: int | None, second: float, event_id: str = "") -> Recordable:
        moment = NOW_MS + round(1000 * second)
        return Recordable(Event(event_id or next(self.ids), "click", user, f"item {number}", moment), number)

    def history(self, user: str) -> list[int]:
        return unpack_numbers(self.redis.get(key_of(user))).tolist()

    def stream(self, user: str) -> list[Event]:
        entries = self.redis.xrange(events_key(partition_of(user)))
        return [msgspec.json.decode(fields[b"e"], type=Event) for _, fields in entries]


@pytest.fixture(params=["one server", "cluster"])
def stored(request: pytest.FixtureRequest, redis_url: str, cluster_url: str) -> Iterator[Stored]:
    stored = Stored(redis_url) if request.param == "one server" else Stored(cluster_url, cluster=True)
    yield stored
    stored.redis.close()


def test_an_event_is_in_the_stream_and_the_newest_of_the_history(stored):
    with_all = Event("e", "click", "u1", "item 7", NOW_MS, request_id="r", position=3, value=1.5)
    assert stored.record(Recordable(with_all, 7), stored.event("u1", 300, 1)) == [True, True]
    assert stored.history("u1") == [7, 300]
    assert stored.stream("u1")[0] == with_all
    assert 0 < stored.redis.ttl(key_of("u1")) <= 600


def test_the_same_event_id_counts_once_in_one_call_and_in_the_next(stored):
    assert stored.record(stored.event("u1", 1, 0, "same"), stored.event("u1", 1, 0, "same")) == [True, False]
    assert stored.record(stored.event("u1", 1, 9, "same"), stored.event("u1", 2, 9)) == [False, True]
    assert stored.history("u1") == [1, 2]
    assert len(stored.stream("u1")) == 2


def test_an_event_that_comes_late_takes_its_place_by_time(stored):
    stored.record(*(stored.event("u1", number, second) for number, second in ((1, 10), (3, 30), (4, 40))))
    stored.record(stored.event("u1", 2, 20), stored.event("u1", 0, 5))
    assert stored.history("u1") == [0, 1, 2, 3, 4]
    times = (unpack_times(stored.redis.get(key_of("u1"))) - NOW_MS) / 1000
    assert times == pytest.approx([5, 10, 20, 30, 40], abs=0.05)


def test_of_two_at_the_same_time_the_one_that_came_later_is_newer(stored):
    stored.record(stored.event("u1", 1, 10), stored.event("u1", 3, 20))
    stored.record(stored.event("u1", 2, 10), stored.event("u1", 4, 20))
    assert stored.history("u1") == [1, 2, 3, 4]


def test_a_history_keeps_its_newest(stored):
    stored.record(*(stored.event("u1", number, number) for number in range(1, 8)))
    assert stored.history("u1") == [3, 4, 5, 6, 7]
    stored.record(stored.event("u1", 1, 1.5), stored.event("u1", 100_000, 6.5))
    assert stored.history("u1") == [4, 5, 6, 100_000, 7]
    stored.record(stored.event("u1", 9, 9), history_length=2)
    assert stored.history("u1") == [7, 9]
    stored.record(stored.event("u1", 8, 10), history_length=1)
    assert stored.history("u1") == [8]


def test_an_event_without_a_number_is_in_the_stream_only(stored):
    assert stored.record(stored.event("u1", None, 0)) == [True]
    assert stored.redis.get(key_of("u1")) is None
    assert len(stored.stream("u1")) == 1


def test_events_of_many_users_come_back_in_the_order_of_the_call(stored):
    users = [f"user {n}" for n in range(200)]
    assert len({partition_of(user) for user in users}) > PARTITIONS // 2
    assert all(stored.record(*(stored.event(user, 1, 0, f"of {user}") for user in users)))
    again = [stored.event(user, 1, 0, f"of {user}") for user in users[::2]]
    new = [stored.event(user, 2, 1) for user in users[::2]]
    mixed = [event for pair in zip(again, new, strict=True) for event in pair]
    assert stored.record(*mixed) == [False, True] * 100
    assert all(stored.history(user) == [1, 2] for user in users[::2])


def test_a_history_that_materialize_wrote_goes_on(stored):
    write_histories(stored.redis, as_histories({"u1": [10, 70_000]}), longest=5, ttl_seconds=60)
    stored.record(stored.event("u1", 3, 0))
    assert stored.history("u1") == [10, 70_000, 3]


def test_a_value_of_another_format_is_replaced(stored):
    stored.redis.set(key_of("u1"), b"\x09rubbish")
    stored.record(stored.event("u1", 3, 0))
    assert stored.history("u1") == [3]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_in_whatever_order_the_script_packs_as_python_does(stored, seed):
    luck = random.Random(seed)
    moments = [
        luck.choice([luck.randrange(3000), luck.randrange(10**7), luck.randrange(10**10)]) for _ in range(60)
    ]
    numbers = [luck.choice([luck.randrange(200), luck.randrange(60_000), luck.randrange(2**31)]) for _ in moments]
    came = []
    for number, moment in zip(numbers, moments, strict=True):
        event = Event(next(stored.ids), "click", "u1", "i", NOW_MS + moment)
        stored.record(Recordable(event, number), history_length=1000)
        came.append((moment, number))
    value = stored.redis.get(key_of("u1"))
    assert pack(unpack_numbers(value), unpack_times(value)) == value
    assert sorted(unpack_numbers(value).tolist()) == sorted(numbers)
    newest = max(moments)
    for number, moment in zip(unpack_numbers(value).tolist(), unpack_times(value) - NOW_MS, strict=True):
        true = [m for m, n in came if n == number]
        assert min(abs(moment - m) for m in true) <= (newest - moment) / 500 + 1


def test_while_redis_is_away_nothing_is_accepted_and_sending_again_is_safe(tmp_path, start_redis):
    server = start_redis(tmp_path)
    stored = Stored(server.url)
    stored.record(stored.event("u1", 1, 0, "first"))
    server.stop()
    with pytest.raises(EventsUnavailable, match="send the same event_ids again"):
        stored.record(stored.event("u1", 2, 1, "second"))
    start_redis(tmp_path, port=server.port)
    again = [stored.event("u1", number, number, name) for number, name in ((1, "first"), (2, "second"))]
    assert stored.record(*again) == [False, True]  # what was accepted survived the kill
    assert stored.history("u1") == [1, 2]


def test_a_redis_that_is_full_accepts_nothing(tmp_path, start_redis):
    stored = Stored(start_redis(tmp_path).url)
    stored.record(stored.event("u1", 1, 0))
    before = stored.redis.dbsize()
    stored.redis.config_set("maxmemory", 1)
    with pytest.raises(EventsUnavailable):
        stored.record(stored.event("u1", 2, 1), stored.event("u2", 2, 1))
    stored.redis.config_set("maxmemory", 0)
    assert (stored.redis.dbsize(), stored.history("u1"), len(stored.stream("u1"))) == (before, [1], 1)


def test_ids_are_remembered_for_a_window_and_then_forgotten(redis_url):
    stored = Stored(redis_url)
    stored.record(stored.event("u1", 1, 0, "same"))
    remembered = list(stored.redis.scan_iter("fw2:*:d:*"))
    assert len(remembered) == 1
    assert 3600 < stored.redis.ttl(remembered[0]) <= 7200
    assert stored.redis.object("encoding", remembered[0]) == b"intset"


def test_materialize_keeps_what_came_as_events_after_the_log_ended(stored):
    stored.record(*(stored.event("u1", number, second) for number, second in ((7, 0), (8, 3600), (9, 7200))))
    log = [("u1", np.array([5, 6, 7]), NOW_MS + np.array([-9_000_000, -5000, 0]))]
    write_histories(stored.redis, [History(*log[0])], longest=5, ttl_seconds=60)
    assert stored.history("u1") == [5, 6, 7, 8, 9]
    write_histories(stored.redis, [History(*log[0])], longest=4, ttl_seconds=60)
    assert stored.history("u1") == [6, 7, 8, 9]
