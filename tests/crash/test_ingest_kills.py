"""Every event is in the log once, wherever ingesting is killed; and these tests would see it if it were not."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL

import msgspec
import polars as pl
import pytest
from killing import Kill
from redis import Redis

from contracts.events import Served
from service.embedded_redis import embedded_redis
from service.forgetting import forget
from tests.export.filled_streams import NOON_MS, Filled, event

ROOT = Path(__file__).parent.parent.parent
KILLS = 50
LONGEST_SECONDS = 0.25
"""Within which a kill by chance comes; an ingest takes about as long."""


class IngestSite(Filled):
    """A Redis and a folder, and the process that ingests from one into the other."""

    def __init__(self, redis: Redis, url: str, folder: Path, chance: random.Random) -> None:
        super().__init__(redis, folder / "events", folder / "served")
        self.folder, self.chance = folder, chance
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("ingest_process.py")), str(folder), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"},
        )
        self.ingest()  # it has imported what it needs

    def ingest(self, switched_off: str = "") -> None:
        """To the end, undisturbed."""
        answer = self._ask(switched_off=switched_off)
        assert not answer["error"], answer["error"]

    def moments(self, others: int = 0, switched_off: str = "") -> list[int]:
        """The operations of an ingest that change a file, and `others` that follow the first of these: questions
        to Redis, and the end."""
        changes = self._ask(Kill(), switched_off)["changes"]
        of_files = [number for number, changed in enumerate(changes, start=1) if changed]
        rest = sorted({*range(of_files[0], len(changes) + 1)} - {*of_files})
        return sorted(of_files + self.chance.sample(rest, min(others, len(rest))))

    def kill_at(self, kill: Kill, switched_off: str = "") -> None:
        answer = self._ask(kill, switched_off)
        assert answer["signal"] == SIGKILL, f"{kill} did not hit: {answer['error']}"

    def kill_after(self, seconds: float) -> bool:
        """Whether it was still at work then."""
        child = self._send({})
        time.sleep(seconds)  # the moment is the point
        os.kill(child, SIGKILL)
        return self._answer()["signal"] == SIGKILL

    def unfinished(self) -> bool:
        """Whether a commit is recorded of which not everything was done."""
        record = self.events / ".ingest.json"
        changes = msgspec.json.decode(record.read_bytes()).get("changes", {}) if record.exists() else {}
        return any((self.events / draft).exists() for draft in changes.get("events", {}).get("drafts", {}))

    def drafts(self) -> list[Path]:
        return list(self.folder.rglob(".partial-*"))

    def served_requests(self) -> list[str]:
        files = sorted(self.served.glob("day=*/*.parquet"))
        return sorted(request for file in files for request in pl.read_parquet(file)["request_id"])

    def _ask(self, kill: Kill | None = None, switched_off: str = "") -> dict:
        self._send({"kill": kill, "switched_off": switched_off})
        return self._answer()

    def _send(self, request: dict) -> int:
        self.process.stdin.write(msgspec.json.encode(request) + b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def _answer(self) -> dict:
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return msgspec.json.decode(self.process.stdout.readline())


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory) -> Iterator[str]:
    with embedded_redis(tmp_path_factory.mktemp("state")) as url:
        with Redis.from_url(url) as redis:
            redis.config_set("appendonly", "no")  # of what Redis survives, other tests tell
        yield url


@pytest.fixture
def site(redis_url, tmp_path) -> Iterator[IngestSite]:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(10**6))
    print(f"CRASH_SEED={seed}")
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        site = IngestSite(redis, redis_url, tmp_path / "site", random.Random(seed))
        yield site
        site.process.communicate(timeout=10)


class Adding(threading.Thread):
    """A service that goes on recording events while ingest dies again and again. `added`: ids, as accepted."""

    def __init__(self, site: IngestSite) -> None:
        super().__init__()
        self.site, self.added, self.requests, self._end = site, [], [], threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.01):
            number = len(self.added)
            events = [event(f"e{number + n}", f"u{(number + n) % 500}", days=(number + n) % 3) for n in range(10)]
            self.site.add(*events)
            self.site.add_served(Served(f"r{number}", NOON_MS, "sasrec:fp32", "abc", ["i1", "i2"]))
            self.added += [each.event_id for each in events]
            self.requests.append(f"r{number}")

    def end(self) -> None:
        self._end.set()
        self.join()


def test_killed_at_fifty_moments_while_events_come_every_event_is_there_once(site):
    adding = Adding(site)
    adding.start()
    try:
        hit = 0
        while hit < KILLS:
            hit += site.kill_after(site.chance.uniform(0, LONGEST_SECONDS))
            assert not twice(site.logged()), f"a reader finds events twice after {hit} kills"
    finally:
        adding.end()
    site.ingest()
    assert site.logged() == sorted(adding.added)
    assert site.served_requests() == sorted(adding.requests)
    assert (site.waiting(), site.drafts()) == (0, [])


@pytest.fixture
def between(site) -> Callable[[], None]:
    """Puts the site into the same state again: events in the log, more in the streams, some of users forgotten."""
    site.add(*(event(f"old{n}", f"u{n % 20}", days=n % 2) for n in range(100)))
    site.ingest()
    site.add(*(event(f"new{n}", f"u{n % 20}", days=n % 3) for n in range(300)))
    site.add_served(*(Served(f"r{n}", NOON_MS, "sasrec:fp32", "abc", ["i1"]) for n in range(5)))
    forget(site.redis, "u7")
    site.add(event("later", "u7"))
    streams = site.snapshot()
    shutil.copytree(site.folder, site.folder.with_name("start"))

    def put_back() -> None:
        site.restore(streams)
        shutil.rmtree(site.folder)
        shutil.copytree(site.folder.with_name("start"), site.folder)

    return put_back


OF_OTHERS = [n for n in range(300) if n % 20 != 7]
AFTERWARDS = sorted(["later", *(f"new{n}" for n in OF_OTHERS), *(f"old{n}" for n in OF_OTHERS if n < 100)])


def assert_all_is_there_once(site: IngestSite, kill: Kill) -> None:
    assert not twice(site.logged()), f"after {kill} a reader finds events twice"
    site.ingest()
    assert site.logged() == AFTERWARDS, f"after {kill}"
    assert site.served_requests() == [f"r{n}" for n in range(5)], f"after {kill}"
    assert (site.waiting(), site.drafts()) == (0, []), f"after {kill}"


def twice(found: list[str]) -> list[str]:
    return [name for name, times in Counter(found).items() if times > 1]


def test_killed_between_two_operations_every_event_is_there_once(site, between):
    between()
    unfinished = 0
    for moment in site.moments(others=20):
        between()
        site.kill_at(Kill(before_operation=moment))
        unfinished += site.unfinished()
        assert_all_is_there_once(site, Kill(before_operation=moment))
    assert unfinished, "no kill came between record and files"


def test_power_cut_between_two_operations_loses_and_doubles_nothing(site, between):
    between()
    for moment in site.moments():
        between()
        kill = Kill(before_operation=moment, power_seed=site.chance.randrange(10**6))
        site.kill_at(kill)
        assert_all_is_there_once(site, kill)


def test_events_are_seen_twice_where_the_record_is_ignored(site, between):
    between()
    for moment in reversed(site.moments(others=1000)):
        between()
        site.kill_at(Kill(before_operation=moment), "forget_the_record")
        site.ingest("forget_the_record")
        if twice(site.logged()):
            return
    pytest.fail("nothing was seen twice")


def test_a_power_cut_is_seen_where_nothing_is_flushed(site, between):
    nothing = "draft_unflushed"
    between()
    for moment in reversed(site.moments(switched_off=nothing)):
        between()
        site.kill_at(Kill(before_operation=moment, power_seed=site.chance.randrange(10**6)), nothing)
        try:
            site.ingest()
            if site.logged() != AFTERWARDS:
                return
        except (AssertionError, pl.exceptions.PolarsError):
            return
    pytest.fail("nothing was seen to be lost")
