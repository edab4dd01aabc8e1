"""The rows of the table: a fault, what holds all the same, and controls in which a protection is switched off.

A control is a row with `control_of`: it must break the limit that it names, or the row proves nothing. One more
takes one more line here.
"""

from dataclasses import dataclass, field, replace

from loadtests.chaos import faults, redis_faults
from loadtests.chaos.site import Fault

AT_MOST_HELD = -1
"""As a limit for failed requests: as many as the killed worker had connections."""
PATIENT = {"FLYWEIGHT_FEATURES_TIMEOUT_MS": "10000"}


@dataclass(frozen=True)
class Limits:
    """What a row must keep. None: it is counted, but not judged. Times in milliseconds and seconds.

    `missing`: events answered 202 that are not there afterwards; `twice`: events that are there twice. `stale`:
    good answers that do not know what their user clicked on just before. `p50_ms`, `p99_ms`: of the requests due
    during the fault. `recover_s`: from the end of the fault to the last degraded answer. `versions`: how many
    artifacts may answer in all.
    """

    failed: int | None = 0
    missing: int | None = 0
    twice: int | None = 0
    stale: int | None = 0
    p50_ms: float | None = 20.0
    p99_ms: float | None = 500.0
    degraded: float | None = None
    recover_s: float | None = 1.0
    versions: int = 1
    freshness_p99_ms: float | None = None


@dataclass(frozen=True)
class Row:
    """`lasts`: seconds from the begin of the fault to its end, without what beginning and ending take.

    `seconds` of load, of which `before` come before the fault. `settings`: environment of the service. `redis`: of
    redis.conf; `switched`: by CONFIG SET, once it has read its data. `without`: protections that are switched off
    (unprotected/sitecustomize.py). `slowly`: the service reaches Redis through the proxy.
    """

    name: str
    fault: Fault
    what: str
    lasts: float = 3.0
    limits: Limits = Limits()
    settings: dict[str, str] = field(default_factory=dict)
    redis: dict[str, str] = field(default_factory=dict)
    switched: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    slowly: bool = False
    retries: int = 0
    seconds: int = 16
    before: float = 5.0
    control_of: str | None = None
    breaks: str | None = None


def _control(row: Row, name: str, breaks: str, what: str, **changes: object) -> Row:
    """`breaks`: which of the limits."""
    return replace(row, name=f"{row.name}/{name}", what=what, control_of=row.name, breaks=breaks, **changes)


_CALM = Row(
    "no-fault", faults.nothing, "an ordinary day", lasts=10.0, seconds=20,
    limits=Limits(degraded=0.01, recover_s=None, freshness_p99_ms=10.0),
)  # fmt: skip
_KILLED = Row("redis-killed", redis_faults.redis_killed, "SIGKILL, started again on the same files after 3 s")
_FROZEN = Row(
    "redis-frozen", redis_faults.redis_frozen, "SIGSTOP for 3 s, while Redis takes bytes and answers none",
)  # fmt: skip
_SLOW = Row(
    "redis-slow-200ms", redis_faults.redis_slowed(200), "every message to it 200 ms late", slowly=True,
    limits=Limits(p99_ms=180.0),
)  # fmt: skip
_WORKER = Row(
    "worker-killed-retry", faults.worker_killed, "SIGKILL, the client asks once more", retries=1, lasts=0.5,
    seconds=20, limits=Limits(recover_s=None),
)  # fmt: skip
_DAMAGED = Row(
    "damaged-artifact", faults.damaged_promoted, "64 bytes of its model flipped",
    limits=Limits(degraded=0.01, recover_s=None),
)  # fmt: skip
_PROMOTED = Row(
    "promotion", faults.promoted, "another artifact, by the command line", seconds=20,
    limits=Limits(degraded=0.01, recover_s=None, versions=2),
)  # fmt: skip
_MACHINE = Row(
    "machine-dies-everysec", redis_faults.machine_died(1.0), "what Redis wrote in the last second is gone",
    redis={"appendfsync": "everysec"}, limits=Limits(missing=None, twice=None),
)  # fmt: skip

ROWS: tuple[Row, ...] = (
    _CALM,
    _KILLED,
    _control(_KILLED, "no-aof", "missing", "Redis keeps nothing on the disk", switched={"appendonly": "no"}),
    replace(
        _KILLED, name="redis-killed-everysec", what="the same; the system still has what was not flushed",
        redis={"appendfsync": "everysec"},
    ),
    _MACHINE,
    _control(_MACHINE, "held-to-0", "missing", "the same, held to 0", limits=Limits()),
    _FROZEN,
    _control(_FROZEN, "no-breaker", "p50_ms", "every reading waits its 50 ms", without=("breaker",)),
    _control(_FROZEN, "patient", "p99_ms", "features are waited for, up to 10 s", settings=PATIENT),
    _control(_FROZEN, "no-deduplication", "twice", "an event sent again counts again", without=("deduplication",)),
    Row(
        "redis-slow-30ms", redis_faults.redis_slowed(30), "every message to it 30 ms late", slowly=True,
        limits=Limits(p50_ms=80.0, p99_ms=180.0),
    ),
    _SLOW,
    _control(_SLOW, "patient", "p99_ms", "features are waited for, up to 10 s", settings=PATIENT),
    Row(
        "redis-flushed", redis_faults.redis_flushed, "FLUSHALL, filled again after 3 s", seconds=45,
        limits=Limits(missing=None),
    ),
    Row(
        "ingest-killed", faults.ingest_killed, "`flyweight ingest --follow` killed, one more run to its end",
        lasts=1.0, seconds=30, limits=Limits(degraded=0.01, recover_s=None),
    ),
    replace(
        _WORKER, name="worker-killed", what="SIGKILL, no client asks again", retries=0,
        limits=replace(_WORKER.limits, failed=AT_MOST_HELD, p99_ms=None),  # those that failed have none
    ),
    _WORKER,
    _control(_WORKER, "no-retry", "failed", "the client gives up at once", retries=0),
    _DAMAGED,
    _control(
        _DAMAGED, "unchecked", "versions", "whatever is promoted is loaded", without=("checksums", "probes")
    ),
    _PROMOTED,
    _control(_PROMOTED, "by-restart", "failed", "the service is started anew", fault=faults.promoted_by_restart),
)  # fmt: skip
