"""What users did comes from the streams into the log, every event once."""

import polars as pl

from contracts.events import SERVED_KEY, Served, events_key, partition_of
from contracts.sections import Log
from export.event_batch import read_batch
from export.event_streams import Stream
from export.ingest import STREAMS, ingest
from models.logs.log import read_log
from service.feature_cache import key_of
from service.forgetting import forget
from tests.export.filled_streams import DAY_MS, NOON_MS, event


def test_events_of_several_days_and_partitions_arrive_once_each(filled, event_settings):
    events = [event(f"e{n}", f"u{n % 40}", days=n % 3) for n in range(300)]
    filled.add(*events)
    found = ingest(filled.redis, event_settings)
    assert filled.logged() == sorted(each.event_id for each in events)
    assert filled.waiting() == 0
    assert found.days == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert (found.events, found.duplicates, found.commits) == (300, 0, 1)
    for day in found.days:
        (file,) = (event_settings.paths.events / f"day={day}").iterdir()
        assert set(pl.read_parquet(file)["timestamp"].dt.strftime("%Y-%m-%d")) == {day}


def test_all_that_an_event_says_is_in_its_row(filled, event_settings):
    filled.add(event("e1", "ü 1", item_id="0007", request_id="r1", position=3, value=2.5))
    ingest(filled.redis, event_settings)
    (row,) = pl.read_parquet(event_settings.paths.events / "day=*/*.parquet", hive_partitioning=False).to_dicts()
    moment = row.pop("timestamp")
    assert moment.timestamp() * 1000 == NOON_MS
    assert row == {
        "event_id": "e1",
        "event_type": "click",
        "user_id": "ü 1",
        "item_id": "0007",
        "request_id": "r1",
        "position": 3,
        "value": 2.5,
    }


def test_what_was_served_arrives_beside_it_and_joins_by_request(filled, event_settings):
    filled.add_served(Served("r1", NOON_MS, "sasrec:fp32", "abc", ["i1", "i2"]))
    filled.add(event("e1", item_id="i2", request_id="r1", position=2))
    assert ingest(filled.redis, event_settings).served == 1
    served = pl.read_parquet(event_settings.paths.served / "day=*/*.parquet", hive_partitioning=False)
    events = pl.read_parquet(event_settings.paths.events / "day=*/*.parquet", hive_partitioning=False)
    (both,) = events.join(served, on="request_id").to_dicts()
    assert both["items"][both["position"] - 1] == both["item_id"]
    assert filled.redis.xlen(SERVED_KEY) == 0


def test_nothing_in_the_streams_is_nothing_to_do(filled, event_settings):
    found = ingest(filled.redis, event_settings)
    assert (found.events, found.commits, found.days) == (0, 0, [])
    filled.add(event("e1"))
    ingest(filled.redis, event_settings)
    assert ingest(filled.redis, event_settings).commits == 0  # the streams are there now, and empty


def test_many_small_commits_leave_one_file_of_a_day(filled, event_settings):
    filled.add(*(event(f"e{n:03}", f"u{n}") for n in range(100)))
    assert ingest(filled.redis, event_settings, most_per_commit=7).commits == 15
    assert filled.logged() == [f"e{n:03}" for n in range(100)]
    assert len(list(event_settings.paths.events.glob("day=*/*"))) == 1


def test_a_full_file_is_left_as_it_is(filled, event_settings, monkeypatch):
    monkeypatch.setattr("export.event_log._FULL_ROWS", 1)
    for name in ("e1", "e2"):
        filled.add(event(name))
        ingest(filled.redis, event_settings)
    assert filled.logged() == ["e1", "e2"]
    assert len(list(event_settings.paths.events.glob("day=*/*"))) == 2


def test_no_batch_is_larger_than_it_may_be_and_none_keeps_a_stream_waiting(filled):
    filled.add(*(event(f"a{n}", "busy") for n in range(3000)), event("b", "quiet"))
    assert partition_of("busy") != partition_of("quiet")
    streams = [Stream(filled.redis, events_key(partition_of(user)), "r") for user in ("busy", "quiet")]
    batch = read_batch(streams, {}, 1500)
    assert batch.size == 1500
    assert "b" in {each.event_id for each in batch.events}


def test_an_event_that_was_sent_twice_is_one(filled, event_settings):
    filled.add(event("e1", "u1"), event("e1", "u1"), event("e1", "u2"))
    found = ingest(filled.redis, event_settings)
    assert found.duplicates == 1
    rows = pl.read_parquet(event_settings.paths.events / "day=*/*.parquet", hive_partitioning=False)
    assert sorted(rows["user_id"]) == ["u1", "u2"]  # who count their own events alike are two


def test_the_folder_is_a_log_from_which_impressions_can_be_left_out(filled, event_settings):
    for n in range(20):
        filled.add(event(f"c{n}", f"u{n % 4}", item_id=f"i{n}", days=n / 8))
        filled.add(event(f"s{n}", f"u{n % 4}", item_id=f"i{n}", days=n / 8, type="impression"))
    ingest(filled.redis, event_settings)
    log = read_log(event_settings.paths.events, Log(event_types=("click",)))
    assert len(log.frame) == 20
    assert sorted(log.item_ids) == sorted(f"i{n}" for n in range(20))
    assert log.frame["timestamp"].to_list() == [NOON_MS + n * DAY_MS // 8 for n in range(20)]
    assert not log.report.problems
    assert len(read_log(event_settings.paths.events, Log()).frame) == 40


def test_of_a_forgotten_user_nothing_from_before_stays(filled, event_settings):
    filled.add(event("e1", "gone"), event("e2", "stays"), event("e3", "gone", days=5))
    ingest(filled.redis, event_settings)
    filled.add(event("e4", "gone"))
    filled.redis.set(key_of("gone"), b"some")
    assert forget(filled.redis, "gone")
    assert not filled.redis.exists(key_of("gone"))
    filled.add(event("e5", "gone"))
    found = ingest(filled.redis, event_settings)
    assert filled.logged() == ["e2", "e5"]
    assert filled.waiting() == 0
    assert (found.forgotten, found.erased) == (1, 3)
    assert not list(event_settings.paths.events.glob("day=2026-11-26/*"))  # it held nobody else


def test_who_is_forgotten_twice_and_unknown_is_no_fault(filled, event_settings):
    filled.add(event("e1", "u1"))
    assert [forget(filled.redis, user) for user in ("u2", "u2")] == [False, False]
    ingest(filled.redis, event_settings)
    assert filled.logged() == ["e1"]


def test_a_forgotten_user_leaves_no_copy_in_any_file(filled, event_settings):
    filled.add(event("e1", "somebody-secret"), event("e2", "stays"))
    ingest(filled.redis, event_settings)
    forget(filled.redis, "somebody-secret")
    ingest(filled.redis, event_settings)
    files = [path for path in event_settings.paths.events.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"somebody-secret" in path.read_bytes()]


def test_progress_ends_with_all_that_was_due(filled, event_settings):
    filled.add(*(event(f"e{n}") for n in range(30)))
    told = []
    ingest(filled.redis, event_settings, lambda *step: told.append(step), most_per_commit=10)
    assert told[0] == ("ingesting", 0, 30)
    assert told[-1] == ("ingesting", 30, 30)


def test_every_partition_has_its_stream():
    assert len(set(STREAMS)) == 65


def test_an_undisturbed_stream_is_never_looked_up_in_the_log(filled, event_settings, monkeypatch):
    filled.add(event("e1"))
    ingest(filled.redis, event_settings)
    monkeypatch.delattr("export.event_log.DailyLog.without_known")
    filled.add(event("e2"))
    ingest(filled.redis, event_settings)
    assert filled.logged() == ["e1", "e2"]
