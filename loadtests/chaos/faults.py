"""What happens to the service of a row, and to `flyweight ingest`. What a fault is: see `loadtests.chaos.site`."""

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from loadtests.chaos.site import Proof, Site
from loadtests.chaos.standing_service import WORKERS
from loadtests.chaos.streams import logged_ids
from loadtests.chaos.world import point_at
from loadtests.command_line import flyweight, start_flyweight
from loadtests.waiting import await_that

_REPLACED_SECONDS, _INGEST_SECONDS = 15, 20
_HANG_SECONDS = 2.0
_FLIPPED_BYTES = 64


@contextlib.contextmanager
def nothing(site: Site) -> Iterator[Proof]:
    """An ordinary day."""
    yield {}


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
