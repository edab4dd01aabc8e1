"""Metrics: few, named, with bounded labels, added up over all workers.

prometheus_client keeps one set of files per process under PROMETHEUS_MULTIPROC_DIR, which BentoML sets
for its workers; without it (tests, one process) it counts in memory.
"""

import contextlib
import os
from functools import cache
from pathlib import Path
from time import perf_counter

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from contracts.reasons import Reason
from service.prediction import Model

_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
_REGISTRY = CollectorRegistry()

_REQUEST_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
)  # fmt: skip
_STAGE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)

STAGES = ("features", "encode", "predict", "decode")

_request_duration = Histogram(
    "flyweight_request_duration_seconds",
    "Time from the request's headers to its last byte, by route, variant that serves and status code.",
    ("route", "variant", "code"),
    buckets=_REQUEST_BUCKETS,
    registry=_REGISTRY,
)
_stage_duration = Histogram(
    "flyweight_stage_duration_seconds",
    "Time that one batch spends in a stage.",
    ("stage",),
    buckets=_STAGE_BUCKETS,
    registry=_REGISTRY,
)
_fallbacks = Counter(
    "flyweight_fallbacks_total",
    "Answers that the model did not give, by reason.",
    ("reason",),
    registry=_REGISTRY,
)
_unknown_items = Counter(
    "flyweight_unknown_items_total",
    "Items of histories that the catalog does not hold.",
    registry=_REGISTRY,
)
_feature_cache_open = Gauge(
    "flyweight_feature_cache_open",
    "How many workers leave the feature cache alone, because it is away.",
    multiprocess_mode="livesum",
    registry=_REGISTRY,
)
_model_info = Gauge(
    "flyweight_model_info",
    "1 for the artifact that serves, 0 for one that served before.",
    ("name", "variant", "version"),
    multiprocess_mode="livemax",
    registry=_REGISTRY,
)
_refused_promotions = Counter(
    "flyweight_refused_promotions_total",
    "Promoted artifacts that a worker could not load; it goes on with the one it has.",
    registry=_REGISTRY,
)
_events = Counter(
    "flyweight_events_total",
    "Events sent to /events, by what became of them: accepted, duplicate, rejected.",
    ("outcome",),
    registry=_REGISTRY,
)
_lost_notes = Counter(
    "flyweight_lost_served_notes_total",
    "Notes of served answers that did not reach the stream.",
    registry=_REGISTRY,
)


@cache
def _requests(route: str, variant: str, code: int) -> Histogram:
    return _request_duration.labels(route, variant, str(code))


_stages = {stage: _stage_duration.labels(stage) for stage in STAGES}
_fallbacks_by_reason = {reason: _fallbacks.labels(reason.value) for reason in Reason if reason != Reason.OK}


def count_request(route: str, variant: str, code: int, started: float) -> None:
    """`route` comes from the closed list of `service.routes`; `started` from `time.perf_counter`."""
    _requests(route, variant, code).observe(perf_counter() - started)


def count_stage(stage: str, started: float) -> float:
    """Note a stage of a batch that began at `started`; return the time now, where the next one begins."""
    now = perf_counter()
    _stages[stage].observe(now - started)
    return now


def count_fallback(reason: Reason) -> None:
    _fallbacks_by_reason[reason].inc()


def count_unknown_items(items: int) -> None:
    if items:
        _unknown_items.inc(items)


def count_refused_promotion() -> None:
    _refused_promotions.inc()


def count_events(outcome: str, events: int) -> None:
    """`outcome`: accepted, duplicate or rejected."""
    if events:
        _events.labels(outcome).inc(events)


def count_lost_notes(notes: int) -> None:
    _lost_notes.inc(notes)


def show_feature_cache(*, is_open: bool) -> None:
    _feature_cache_open.set(is_open)


def show_model(model: Model, *, serves: bool) -> None:
    _model_info.labels(model.name, model.variant, model.version).set(1 if serves else 0)


def exposition() -> bytes:
    """What GET /metrics answers: all workers added up."""
    if _DIRECTORY_VARIABLE not in os.environ:
        return generate_latest(_REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)


def forget_dead_workers() -> None:
    """Drop the gauges of workers that were killed: they would show their artifact for ever."""
    folder = os.environ.get(_DIRECTORY_VARIABLE)
    for path in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = int(path.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def declared_metrics() -> dict[str, list[str]]:
    """Every metric by the name that GET /metrics shows, with its labels."""
    metrics = (
        _request_duration, _stage_duration, _fallbacks, _unknown_items, _feature_cache_open, _model_info,
        _refused_promotions, _events, _lost_notes,
    )  # fmt: skip
    suffix = {Counter: "_total"}
    return {m._name + suffix.get(type(m), ""): list(m._labelnames) for m in metrics}
