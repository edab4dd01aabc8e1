"""The Redis of the fault suite: a real server that dies in several ways, and the proxy that makes it slow."""

import time
from collections import Counter

import polars as pl
import pytest
import redis

from contracts.events import EVENT_FIELD, SERVED_KEY, events_key
from loadtests.chaos.proxy import Proxy
from loadtests.chaos.redis_server import RedisServer
from loadtests.chaos.streams import count_events, event_ids, logged_ids
from loadtests.waiting import await_that


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


def test_killed_server_comes_back_with_all_that_it_confirmed(server):
    with server.client() as client:
        client.set("a", 1)
        before = server.pid
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.get("a") == b"1"
    assert server.pid != before


def test_server_that_dies_with_its_machine_lacks_what_it_wrote_last(server):
    with server.client() as client:
        client.set("long ago", 1)
        written = time.monotonic()
        assert await_that(lambda: time.monotonic() > written + 0.5, 2)
        client.set("just now", 1)
        lost = server.die_with_machine(0.3)
        server.start()
        assert (client.get("long ago"), client.get("just now")) == (b"1", None)
    assert lost > 0


def test_frozen_server_answers_nothing_until_it_is_thawed(server):
    server.freeze()
    try:
        with redis.Redis(port=server.port, socket_timeout=0.2) as hasty, pytest.raises(redis.TimeoutError):
            hasty.ping()
    finally:
        server.thaw()
    with server.client() as client:
        assert client.ping()


def test_proxy_makes_every_message_later_and_only_while_it_is_told_to(server):
    with Proxy(server.port) as proxy, redis.Redis(port=proxy.port) as client:
        client.ping()
        proxy.delay_ms = 150.0
        began = time.monotonic()
        client.set("a", 1)
        assert 0.15 <= time.monotonic() - began < 5
        proxy.delay_ms = 0.0
        assert (client.get("a"), proxy.passed) == (b"1", 1)


def test_proxy_before_a_server_that_is_away_closes_the_connection(server):
    with Proxy(server.port) as proxy:
        server.kill()
        with redis.Redis(port=proxy.port) as client, pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()


def test_events_are_read_from_every_partition_and_counted_each(server):
    with server.client() as client:
        for number in range(2500):
            client.xadd(events_key(7), {EVENT_FIELD: f'{{"event_id": "e-{number}", "type": "click"}}'})
        client.xadd(events_key(63), {EVENT_FIELD: '{"event_id": "e-1"}'})
        client.xadd(events_key(63), {"f": "forgotten"})
        client.xadd(SERVED_KEY, {"s": "{}"})
        found = event_ids(client)
        assert count_events(client) == 2502
    assert found == Counter([f"e-{n}" for n in range(2500)] + ["e-1"])


def test_events_of_the_log_are_read_from_all_its_days_and_nothing_else(tmp_path):
    assert logged_ids(tmp_path) == []
    for day, ids in (("day=2026-11-20", ["e-1"]), ("day=2026-11-21", ["e-2", "e-1"])):
        (tmp_path / day).mkdir()
        pl.DataFrame({"event_id": ids, "value": [1.0] * len(ids)}).write_parquet(tmp_path / day / "a.parquet")
    (tmp_path / "day=2026-11-21" / ".hidden.partial").write_bytes(b"half a file")
    assert logged_ids(tmp_path) == ["e-1", "e-2", "e-1"]
