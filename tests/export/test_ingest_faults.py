"""Every event is in the log once, though Redis is flushed or restored, and ingest was killed."""

import msgspec
import polars as pl
import pytest

from contracts import durable
from contracts.events import Served, events_key, partition_of
from contracts.faults import RunNotValid, UsageFault
from export import ingest as ingesting
from export.event_streams import Stream
from export.ingest import LOCK, RECORD, ingest
from service.forgetting import forget
from service.redis_clients import connect
from tests.export.filled_streams import NOON_MS, event


def test_a_second_ingest_is_refused_and_can_wait(filled, event_settings):
    with (
        durable.lock(event_settings.paths.events / LOCK),
        pytest.raises(UsageFault, match="another ingest is writing"),
    ):
        ingest(filled.redis, event_settings)
    assert ingest(filled.redis, event_settings, wait=True).commits == 0


def test_after_a_flush_events_with_smaller_ids_are_not_lost(filled, event_settings):
    filled.add(event("e1"), entry_id="2000-0")
    ingest(filled.redis, event_settings)
    filled.redis.flushall()
    filled.add(event("e2"), entry_id="1000-0")  # a clock that went back,
    filled.add(event("e3"), entry_id="2000-0")  # and comes along where it was
    filled.add(event("e4"), entry_id="3000-0")
    ingest(filled.redis, event_settings)
    filled.add(event("e5"), entry_id="3000-1")
    ingest(filled.redis, event_settings)
    assert filled.logged() == ["e1", "e2", "e3", "e4", "e5"]


def test_a_redis_that_was_restored_brings_nothing_twice(filled, event_settings):
    filled.add(*(event(f"e{n}", days=n) for n in range(5)))
    filled.add_served(Served("r1", NOON_MS, "sasrec:fp32", "abc", ["i1"]))
    before = filled.snapshot()
    ingest(filled.redis, event_settings)
    filled.add(event("elsewhere", "u2"))
    ingest(filled.redis, event_settings)
    filled.restore(before)
    filled.add(event("new"))
    found = ingest(filled.redis, event_settings, most_per_commit=2)
    assert filled.logged() == ["e0", "e1", "e2", "e3", "e4", "elsewhere", "new"]
    assert (found.events, found.duplicates, found.served) == (1, 5, 0)
    assert filled.waiting() == 0


def test_what_was_taken_last_leaves_a_restored_redis_unread(filled, event_settings):
    filled.add(event("e1"))
    before = filled.snapshot()
    ingest(filled.redis, event_settings)
    filled.restore(before)
    filled.add(event("e2"))
    found = ingest(filled.redis, event_settings)
    assert (found.events, found.duplicates, found.resumed) == (1, 0, True)
    assert filled.logged() == ["e1", "e2"]


def test_of_a_restored_redis_a_forgotten_user_keeps_what_came_later(filled, event_settings):
    filled.add(event("e1", "u1"))
    forget(filled.redis, "u1")
    filled.add(event("e2", "u1"))
    before = filled.snapshot()
    ingest(filled.redis, event_settings)
    filled.add(event("e3", "u2"))
    ingest(filled.redis, event_settings)
    filled.restore(before)
    assert ingest(filled.redis, event_settings).forgotten == 1
    assert filled.logged() == ["e2", "e3"]


def test_without_its_record_nothing_is_taken_twice(filled, event_settings, monkeypatch):
    filled.add(event("e1"))
    killed_after_the_files(filled, event_settings, monkeypatch)
    (event_settings.paths.events / RECORD).unlink()
    filled.add(event("e2"))
    ingest(filled.redis, event_settings)
    assert filled.logged() == ["e1", "e2"]


class Killed(BaseException):
    pass


def killed_after_the_files(filled, event_settings, monkeypatch) -> None:
    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "let_go", die)
        with pytest.raises(Killed):
            ingest(filled.redis, event_settings)


def test_what_a_killed_ingest_recorded_is_finished_by_the_next(filled, event_settings, monkeypatch):
    filled.add(event("e1"))

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "finish", lambda folder, change: die() if change.drafts else False)
        with pytest.raises(Killed):
            ingest(filled.redis, event_settings)
    assert (filled.logged(), filled.waiting()) == ([], 1)
    found = ingest(filled.redis, event_settings)
    assert (found.resumed, found.events) == (True, 0)
    assert (filled.logged(), filled.waiting()) == (["e1"], 0)
    assert not ingest(filled.redis, event_settings).resumed


def test_what_a_killed_ingest_did_not_record_never_happened(filled, event_settings, monkeypatch):
    filled.add(event("e1"))

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ingesting._Ingestion, "_finish", lambda _: False)
        patch.setattr(msgspec.json, "encode", die)
        (event_settings.paths.events).mkdir()
        (event_settings.paths.events / RECORD).write_bytes(b'{"schema_version": 1, "reader": "r"}')
        with pytest.raises(Killed):
            ingest(filled.redis, event_settings)
    assert len(list(event_settings.paths.events.glob("day=*/.*"))) == 1
    ingest(filled.redis, event_settings)
    assert not list(event_settings.paths.events.glob("day=*/.*"))
    assert filled.logged() == ["e1"]


def test_a_stream_that_was_flushed_before_it_could_be_shortened_keeps_what_is_new(
    filled, event_settings, monkeypatch
):
    filled.add(event("e1"), entry_id="2000-0")
    killed_after_the_files(filled, event_settings, monkeypatch)
    filled.redis.flushall()
    filled.add(event("e2"), entry_id="1000-0")
    ingest(filled.redis, event_settings)
    assert filled.logged() == ["e1", "e2"]


def test_an_entry_that_cannot_be_read_is_put_aside_and_holds_nobody_up(filled, event_settings):
    key = events_key(partition_of("u1"))
    filled.redis.xadd(key, {b"e": b'{"event_id": "half'})
    filled.redis.xadd(key, {b"from the future": b"{}"})
    filled.add(event("e0", timestamp=-1), event("e1"))
    found = ingest(filled.redis, event_settings)
    assert (filled.logged(), filled.waiting(), found.refused) == (["e1"], 0, 3)
    refused = pl.read_parquet(event_settings.paths.events / ".refused/day=*/*.parquet", hive_partitioning=False)
    assert set(refused["stream"]) == {key}
    assert "half" in refused["entry"][0]
    assert "milliseconds since 1970" in refused["problem"][2]


def test_a_redis_that_is_away_is_told_as_such(event_settings):
    with connect("redis://127.0.0.1:1") as redis, pytest.raises(RunNotValid, match="the streams cannot be read"):
        ingest(redis, event_settings)


def test_a_damaged_record_says_what_to_do(filled, event_settings):
    filled.add(event("e1"))
    ingest(filled.redis, event_settings)
    record = event_settings.paths.events / RECORD
    record.write_bytes(record.read_bytes()[:20])
    with pytest.raises(UsageFault, match="Remove it"):
        ingest(filled.redis, event_settings)
