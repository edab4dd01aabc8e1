"""Every metric, declared once: its name, what it means, its labels, its bucket edges. `service.telemetry` counts.

prometheus_client keeps one set of files per process under PROMETHEUS_MULTIPROC_DIR, which BentoML sets for its
workers; without it (tests, one process) it counts in memory. Counters and histograms outlive the process that
counted, so they never go backwards; every gauge has a `live` mode, and goes with its process.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.metrics import MetricWrapperBase

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
REGISTRY = CollectorRegistry()

REQUEST_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
)  # fmt: skip
"""Seconds. The bounds of the default [slo] are among them; a test compares."""
_STAGE_BUCKETS = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0,
)  # fmt: skip
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

STAGES = ("parse", "queue", "features", "encode", "predict", "decode", "answer")


def _name_files_once() -> None:
    """Name this process's files now: prometheus_client asks for the process id at every count, which is a sixth of
    what counting costs. The name is ours, so that nobody who counts in the usual way writes into the same file.
    """

    def name() -> None:
        nonlocal process
        process = f"flyweight-{os.getpid()}"

    process = ""
    name()
    os.register_at_fork(after_in_child=name)
    values.ValueClass = values.MultiProcessValue(lambda: process)


if DIRECTORY_VARIABLE in os.environ:
    _name_files_once()

REQUEST_DURATION = Histogram(
    "flyweight_request_duration_seconds",
    "Time from the request's headers to its last byte, by route, variant that serves and status code.",
    ("route", "variant", "code"),
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
STAGE_DURATION = Histogram(
    "flyweight_stage_duration_seconds",
    "Time of one batch in a stage. parse: mean of the requests read since the batch before; queue: wait of the "
    "oldest; answer: until all answers are handed over.",
    ("stage",),
    buckets=_STAGE_BUCKETS,
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "flyweight_batch_size",
    "Requests answered with one reading of features and one call of the model.",
    buckets=_BATCH_BUCKETS,
    registry=REGISTRY,
)
FALLBACKS = Counter(
    "flyweight_fallbacks_total",
    "Answers that the model did not give, by reason.",
    ("reason",),
    registry=REGISTRY,
)
FEATURE_LOOKUPS = Counter(
    "flyweight_feature_lookups_total",
    "Users looked up in the feature cache: hit, miss (nobody knows them), or the fault that hid the history.",
    ("result",),
    registry=REGISTRY,
)
UNKNOWN_ITEMS = Counter(
    "flyweight_unknown_items_total",
    "Items of histories that the catalog does not hold.",
    registry=REGISTRY,
)
FEATURE_CACHE_OPEN = Gauge(
    "flyweight_feature_cache_open",
    "How many workers leave the feature cache alone, because it is away.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
MODEL_INFO = Gauge(
    "flyweight_model_info",
    "1 for the artifact that serves, 0 for one that served before.",
    ("name", "variant", "version"),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
REFUSED_PROMOTIONS = Counter(
    "flyweight_refused_promotions_total",
    "Promoted artifacts that a worker could not load; it goes on with the one it has.",
    registry=REGISTRY,
)
EVENTS = Counter(
    "flyweight_events_total",
    "Events sent to /events, by what became of them: accepted, duplicate, rejected.",
    ("outcome",),
    registry=REGISTRY,
)
EVENT_STREAM_LENGTH = Gauge(
    "flyweight_event_stream_length",
    "Entries that wait in Redis for `flyweight ingest`; NaN while Redis does not say.",
    ("stream",),
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
EVENT_LAG = Gauge(
    "flyweight_event_lag_seconds",
    "Age of the oldest entry that waits for `flyweight ingest`, 0 when none does; NaN while Redis does not say.",
    ("stream",),
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
LOST_NOTES = Counter(
    "flyweight_lost_served_notes_total",
    "Notes of served answers that did not reach the stream.",
    registry=REGISTRY,
)
WORKERS = Gauge(
    "flyweight_workers",
    "Workers that are up.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
PROCESS_MEMORY = Gauge(
    "flyweight_process_memory_bytes",
    "Memory of all workers: rss counts what they share once for each, pss once.",
    ("kind",),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)


def declared_metrics() -> dict[str, list[str]]:
    """Every metric by the name that GET /metrics shows, with its labels."""
    metrics = [each for each in globals().values() if isinstance(each, MetricWrapperBase)]
    suffix = {Counter: "_total"}
    return {metric._name + suffix.get(type(metric), ""): list(metric._labelnames) for metric in metrics}
