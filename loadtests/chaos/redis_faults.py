"""What happens to the Redis of a row. What a fault is: see `loadtests.chaos.site`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from loadtests.chaos.site import Fault, Proof, Site
from loadtests.chaos.streams import count_events
from loadtests.chaos.world import USERS
from loadtests.command_line import flyweight
from loadtests.waiting import await_that


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
