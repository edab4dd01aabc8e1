"""What happens to the service and its Redis. Each fault begins when its block is entered and ends when it is left.

A fault yields a dictionary for the proof that it hit: process ids, counts, whatever can be seen from outside.
"""

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.chaos.proxy import Proxy
from loadtests.chaos.redis_server import RedisServer
from loadtests.chaos.standing_service import WORKERS, StandingService
from loadtests.chaos.streams import count_events, logged_ids
from loadtests.chaos.waiting import await_that
from loadtests.chaos.world import USERS, World, flyweight, point_at, start_flyweight

_REPLACED_SECONDS, _INGEST_SECONDS = 15, 20
_HANG_SECONDS = 2.0
_FLIPPED_BYTES = 64
Proof = dict[str, object]


@dataclass(frozen=True)
class Site:
    """Where a row is played. `log`: the folder into which `flyweight ingest` writes."""

    world: World
    redis: RedisServer
    proxy: Proxy | None
    service: StandingService
    log: Path

    @property
    def other(self) -> Path:
        """The artifact that is not promoted when the row begins."""
        return self.service.artifacts / self.world.artifacts[1]


Fault = Callable[[Site], contextlib.AbstractContextManager[Proof]]


@contextlib.contextmanager
def nothing(site: Site) -> Iterator[Proof]:
    """An ordinary day."""
    yield {}


@contextlib.contextmanager
def redis_killed(site: Site) -> Iterator[Proof]:
    """SIGKILL; at the end another process is started on the same port and files."""
    proof: Proof = {"killed": site.redis.pid}
    site.redis.kill()
    yield proof
    site.redis.start()
    proof["started"] = site.redis.pid


@contextlib.contextmanager
def redis_frozen(site: Site) -> Iterator[Proof]:
    """SIGSTOP; it takes connections and bytes, and answers nothing until SIGCONT."""
    site.redis.freeze()
    is_stopped = await_that(lambda: _state(site.redis.pid) == "T", 1)
    try:
        yield {"stopped": site.redis.pid, "hit": is_stopped}
    finally:
        site.redis.thaw()


def _state(pid: int) -> str:
    """As in proc(5): T is stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def redis_slowed(delay_ms: float) -> Fault:
    """Whatever is asked arrives so much later."""

    @contextlib.contextmanager
    def fault(site: Site) -> Iterator[Proof]:
        before, proof = site.proxy.passed, {}
        site.proxy.delay_ms = delay_ms
        yield proof
        site.proxy.delay_ms = 0.0
        proof["delayed messages"] = site.proxy.passed - before
        proof["hit"] = site.proxy.passed > before

    return fault


@contextlib.contextmanager
def redis_flushed(site: Site) -> Iterator[Proof]:
    """FLUSHALL; at the end the features are filled again, as an operator would."""
    with site.redis.client() as client:
        proof: Proof = {"keys before": client.dbsize(), "events flushed": count_events(client)}
        client.flushall()
        proof["hit"] = proof["keys before"] > client.dbsize()
    yield proof
    words = ["materialize", "--synthetic", str(USERS)]
    told = {"FLYWEIGHT_PATHS_ARTIFACTS": str(site.service.artifacts), "REDIS_URL": site.redis.url}
    flyweight(words, told, site.world.folder)


def machine_died(unflushed_seconds: float) -> Fault:
    """Redis dies with its machine, and with what was not flushed to the disk; at the end it is started again."""

    @contextlib.contextmanager
    def fault(site: Site) -> Iterator[Proof]:
        proof: Proof = {"killed": site.redis.pid}
        proof["bytes lost"] = site.redis.die_with_machine(unflushed_seconds)
        yield proof
        site.redis.start()
        proof["started"] = site.redis.pid

    return fault


@contextlib.contextmanager
def worker_killed(site: Site) -> Iterator[Proof]:
    """A worker hangs until requests wait on it, and is killed with SIGKILL.

    Ends when there are as many workers as before, or after a while.
    """
    worker = site.service.workers()[0]
    worker.send_signal(signal.SIGSTOP)
    await_that(lambda: site.service.unread(worker), _HANG_SECONDS)
    proof: Proof = {"killed": worker.pid, "connections on it": site.service.connections(worker)}
    proof["requests on it"] = site.service.unread(worker)
    worker.kill()
    killed = time.monotonic()
    yield proof
    replaced = await_that(lambda: len(site.service.workers()) == WORKERS, _REPLACED_SECONDS)
    proof["replaced after s"] = round(time.monotonic() - killed, 1) if replaced else None


@contextlib.contextmanager
def damaged_promoted(site: Site) -> Iterator[Proof]:
    """Bytes of the model are flipped in a copy of another artifact, and the pointer is moved there."""
    damaged = site.service.artifacts / f"{site.other.name}-damaged"
    shutil.copytree(site.other, damaged)
    flip_bytes(damaged / "model.onnx")
    before = site.service.metric("flyweight_refused_promotions_total")
    point_at(site.service.artifacts, damaged.name)
    proof: Proof = {"damaged": damaged.name}
    yield proof
    proof["refused"] = site.service.metric("flyweight_refused_promotions_total") - before
    proof["hit"] = "checksums" in site.service.without or proof["refused"] > 0
    point_at(site.service.artifacts, site.world.artifacts[0])


def flip_bytes(model: Path) -> None:
    """In the middle, where the weights are: the file is still a graph."""
    with model.open("r+b") as file:
        file.seek(model.stat().st_size // 2)
        found = file.read(_FLIPPED_BYTES)
        file.seek(-len(found), 1)
        file.write(bytes(byte ^ 0x55 for byte in found))


@contextlib.contextmanager
def promoted(site: Site) -> Iterator[Proof]:
    """Another artifact is promoted with the command line."""
    _promote(site)
    yield {"promoted": site.other.name}


@contextlib.contextmanager
def promoted_by_restart(site: Site) -> Iterator[Proof]:
    """The same by stopping the service and starting it again."""
    _promote(site)
    site.service.end()
    site.service.start()
    yield {"promoted": site.other.name}


@contextlib.contextmanager
def ingest_killed(site: Site) -> Iterator[Proof]:
    """`flyweight ingest` brings events from Redis into the log meanwhile, and is killed with SIGKILL in between.

    At the end another one goes on where it stopped, and comes to its end.
    """
    told = {
        "FLYWEIGHT_PATHS_EVENTS": str(site.log),
        "FLYWEIGHT_PATHS_SERVED": str(site.log.parent / "served"),
        "REDIS_URL": site.redis.url,
    }
    ingest = start_flyweight(["ingest", "--follow", "0.1"], told, site.world.folder)
    try:
        wrote = await_that(lambda: any(site.log.glob("day=*/*.parquet")), _INGEST_SECONDS)
        yield (proof := {"killed": ingest.pid, "hit": wrote and ingest.poll() is None})
    finally:
        ingest.kill()
        ingest.wait()
    flyweight(["ingest"], told, site.world.folder)
    proof["events in the log"] = len(logged_ids(site.log))


def _promote(site: Site) -> None:
    told = {
        "FLYWEIGHT_PATHS_ARTIFACTS": str(site.service.artifacts),
        "FLYWEIGHT_PATHS_BUNDLE": str(site.world.folder / "bundle"),
    }
    flyweight(["promote", str(site.other), "--force"], told, site.world.folder)
