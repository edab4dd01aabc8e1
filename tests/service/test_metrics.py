"""What is counted, and that workers which are gone leave what they counted and nothing else."""

import asyncio
import math
import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.events import PARTITIONS, SERVED_KEY, events_key
from contracts.load_sections import Slo
from contracts.reasons import Reason
from service import metrics, telemetry
from service.memory import give_back, own_memory
from service.pages import Metrics
from service.redis_clients import connect, connect_async
from service.stream_depth import StreamDepth
from tests.service.in_process import GOOD, LAST, post, served


def samples(text: str) -> dict[tuple, float]:
    """Value by name and labels: `samples(text)["flyweight_workers", ()]`."""
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def shown() -> dict[tuple, float]:
    return samples(telemetry.exposition().decode())


def test_every_bound_of_latency_of_the_default_slo_is_an_edge() -> None:
    slo = Slo()
    bounds = {one.bound / 1000 for one in slo.objectives("server") + slo.event_objectives("server") if one.percent}
    assert bounds
    assert bounds <= set(metrics.REQUEST_BUCKETS)


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "public"])
def test_a_batch_is_counted_in_every_stage_whichever_way_it_came(tmp_path: Path, promoted, lane: bool) -> None:
    async def ask() -> int:
        async with served(tmp_path, lane=lane) as opened:
            await opened.exchange(post(GOOD) * 3 + LAST)
            return opened.lane_answers

    before = shown()
    assert bool(asyncio.run(ask())) is lane
    counted = {key: value - before.get(key, 0.0) for key, value in shown().items()}
    assert counted["flyweight_batch_size_sum", ()] == 3
    batches = counted["flyweight_batch_size_count", ()]
    for stage in metrics.STAGES:
        count = counted["flyweight_stage_duration_seconds_count", (stage,)]
        assert count == batches or (
            stage == "parse" and 1 <= count < batches
        )  # read before the batch before ended
        assert 0 < counted["flyweight_stage_duration_seconds_sum", (stage,)] < 20
    assert counted["flyweight_feature_lookups_total", ("hit",)] == 3


def test_lookups_are_counted_by_what_was_found() -> None:
    before = shown()
    down, late = Reason.FEATURE_CACHE_DOWN, Reason.FEATURE_CACHE_TIMEOUT
    telemetry.count_lookups([np.array([1]), None, down, np.array([2]), down, late])
    telemetry.count_lookups([None])
    after = shown()
    expected = {"hit": 2, "miss": 2, down: 2, late: 1, Reason.FEATURE_CACHE_EMPTY: 0}
    found = {result: ("flyweight_feature_lookups_total", (result,)) for result in expected}
    assert {result: after[key] - before[key] for result, key in found.items()} == expected


def depth(stream: str) -> tuple[float, float]:
    found = shown()
    return found["flyweight_event_stream_length", (stream,)], found["flyweight_event_lag_seconds", (stream,)]


def look_at(url: str, now: float, *, cluster: bool = False) -> None:
    async def look() -> None:
        client = connect_async(url, cluster=cluster, timeout_ms=1000)
        await StreamDepth(client, clock=lambda: now).look()
        await client.aclose()

    asyncio.run(look())


def check_depth(url: str, *, cluster: bool) -> None:
    with connect(url, cluster=cluster) as redis:
        redis.flushall()
        look_at(url, 1000.0, cluster=cluster)
        assert (depth("events"), depth("served")) == ((0, 0), (0, 0))
        for partition in (0, 1, PARTITIONS - 1):
            redis.xadd(events_key(partition), {"e": "x"}, id=f"{990_000 - partition}-0")
            redis.xadd(events_key(partition), {"e": "x"}, id="995000-0")
        redis.xadd(SERVED_KEY, {"s": "x"}, id="2000000-0")  # by a clock that is ahead of ours
        look_at(url, 1000.0, cluster=cluster)
    assert depth("events") == (6, pytest.approx(10 + (PARTITIONS - 1) / 1000))
    assert depth("served") == (1, 0)


def test_streams_are_as_long_as_all_partitions_and_as_late_as_the_oldest_entry(redis_url: str) -> None:
    check_depth(redis_url, cluster=False)


def test_streams_on_a_cluster_are_added_up_likewise(cluster_url: str) -> None:
    check_depth(cluster_url, cluster=True)


def test_a_redis_that_is_away_makes_the_streams_unknown_and_not_old() -> None:
    telemetry.show_stream("events", 5, 5.0)
    look_at("unix:///dev/null/redis.sock", 0.0)
    assert all(map(math.isnan, depth("events") + depth("served")))


def test_freed_memory_goes_back_to_the_system() -> None:
    pieces = [bytes(50_000) for _ in range(2_000)]  # too small to be mapped each by itself
    last, held = bytes(50_000), own_memory()["rss"]  # keeps the heap's end in use
    del pieces
    give_back()
    assert held - own_memory()["rss"] > 50_000_000
    assert len(last) == 50_000


def test_own_memory_is_what_the_system_says() -> None:
    found = own_memory()
    assert 0 < found["pss"] <= found["rss"]
    assert found["rss"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_gauges_of_the_dead_go_and_their_counts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    living = subprocess.Popen(["sleep", "60"])
    zombie = subprocess.Popen(["true"])
    deadline = time.monotonic() + 20
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    kept = [f"gauge_livesum_flyweight-{living.pid}.db", f"counter_flyweight-{zombie.pid}.db"]
    dropped = [
        f"gauge_livesum_flyweight-{zombie.pid}.db",
        "gauge_livemax_flyweight-99999999.db",
        "gauge_livesum_flyweight-1.db",  # the number of a dead worker, given to a process of somebody else
    ]
    for name in kept + dropped:
        (tmp_path / name).touch()
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.setattr("os.getppid", os.getpid)  # workers are siblings
    try:
        telemetry.forget_dead_workers()
        assert {path.name for path in tmp_path.iterdir()} == set(kept)
    finally:
        living.kill()
        living.wait()
        zombie.wait()


def test_who_asks_while_it_is_added_up_gets_the_same_and_whoever_comes_later_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times, may_end = [], threading.Event()

    def add_up() -> bytes:
        times.append(time.monotonic())
        assert may_end.wait(20)
        return b"%d" % len(times)

    async def ask() -> tuple[list[bytes], bytes]:
        page = Metrics()
        first, *others = [asyncio.create_task(page(None)) for _ in range(5)]
        while not times:
            await asyncio.sleep(0)
        first.cancel()  # it left: the others wait on
        may_end.set()
        return [reply.body for reply in await asyncio.gather(*others)], (await page(None)).body

    monkeypatch.setattr(telemetry, "exposition", add_up)
    assert asyncio.run(ask()) == ([b"1"] * 4, b"2")
