"""Counting, and what GET /metrics answers: all workers added up. `service.metrics` declares what is counted.

A request costs one observation, all else is counted once per batch.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from time import perf_counter

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest, multiprocess

from contracts.reasons import Reason
from service import metrics
from service.prediction import Model

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


@cache
def _requests(route: str, variant: str, code: int) -> Histogram:
    return metrics.REQUEST_DURATION.labels(route, variant, str(code))


_stages = {stage: metrics.STAGE_DURATION.labels(stage) for stage in metrics.STAGES}
_fallbacks = {reason: metrics.FALLBACKS.labels(reason.value) for reason in Reason if reason != Reason.OK}
_hits, _misses = metrics.FEATURE_LOOKUPS.labels("hit"), metrics.FEATURE_LOOKUPS.labels("miss")
_hidden = {
    reason: metrics.FEATURE_LOOKUPS.labels(reason) for reason in Reason if reason.startswith("feature_cache_")
}
_streams = {
    stream: (metrics.EVENT_STREAM_LENGTH.labels(stream), metrics.EVENT_LAG.labels(stream))
    for stream in ("events", "served")
}


def count_request(route: str, variant: str, code: int, started: float) -> None:
    """`route` comes from the closed list of `service.routes`; `started` from `time.perf_counter`."""
    _requests(route, variant, code).observe(perf_counter() - started)


def count_stage(stage: str, started: float) -> float:
    """Note a stage of a batch that began at `started`; return the time now, where the next one begins."""
    now = perf_counter()
    _stages[stage].observe(now - started)
    return now


def count_batch(requests: int, waited: float, answering: float) -> None:
    """A batch is over. Seconds: what its oldest request waited for it, what handing over the answers took."""
    metrics.BATCH_SIZE.observe(requests)
    _stages["queue"].observe(waited)
    _stages["answer"].observe(answering)


def count_parsing(seconds: float) -> None:
    """Of one request, on average over those since the batch before."""
    _stages["parse"].observe(seconds)


def count_fallback(reason: Reason) -> None:
    _fallbacks[reason].inc()


def count_lookups(readings: Sequence[object]) -> None:
    """What a reading of the feature cache found: of each user a history, None or the fault that hides it."""
    hits, hidden = len(readings), {}
    for reading in readings:
        if reading is None or isinstance(reading, Reason):
            hits -= 1
            hidden[reading] = hidden.get(reading, 0) + 1
    if hits:
        _hits.inc(hits)
    for reading, users in hidden.items():
        (_misses if reading is None else _hidden[reading]).inc(users)


def count_unknown_items(items: int) -> None:
    if items:
        metrics.UNKNOWN_ITEMS.inc(items)


def count_refused_promotion() -> None:
    metrics.REFUSED_PROMOTIONS.inc()


def count_events(outcome: str, events: int) -> None:
    """`outcome`: accepted, duplicate or rejected."""
    if events:
        metrics.EVENTS.labels(outcome).inc(events)


def count_lost_notes(notes: int) -> None:
    metrics.LOST_NOTES.inc(notes)


def show_feature_cache(*, is_open: bool) -> None:
    metrics.FEATURE_CACHE_OPEN.set(is_open)


def show_model(model: Model, *, serves: bool) -> None:
    metrics.MODEL_INFO.labels(model.name, model.variant, model.version).set(1 if serves else 0)


def show_stream(stream: str, length: float, lag_seconds: float) -> None:
    """`stream`: events or served. Both NaN: nobody knows."""
    for gauge, value in zip(_streams[stream], (length, lag_seconds), strict=True):
        gauge.set(value)


def show_worker(*, is_up: bool) -> None:
    metrics.WORKERS.set(is_up)


def show_memory(kind: str, size_bytes: int) -> None:
    metrics.PROCESS_MEMORY.labels(kind).set(size_bytes)


def exposition() -> bytes:
    """What GET /metrics answers: all workers added up; of dead ones, what they counted."""
    if metrics.DIRECTORY_VARIABLE not in os.environ:
        return generate_latest(metrics.REGISTRY)
    forget_dead_workers()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)


def forget_dead_workers() -> None:
    """Drop the gauges of workers that were killed: they would show their artifact and themselves for ever."""
    folder = os.environ.get(metrics.DIRECTORY_VARIABLE)
    for path in Path(folder).glob("gauge_live*.db") if folder else ():
        if not _is_alive(int(re.search(r"(\d+)\.db$", path.name)[1])):
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                path.unlink()


def _is_alive(pid: int) -> bool:
    """A zombie is not; nor is a process that got the number of a dead worker: workers have one parent."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return not Path("/proc/self").exists()  # where nobody can be seen, nobody is forgotten
    return state not in "ZX" and int(parent) == os.getppid()
