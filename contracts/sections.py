"""Every setting there is: its type, its bounds and its default. `flyweight.toml` explains them to a user."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from contracts.load_sections import Loadtest, Slo
from contracts.rung_sections import Blend, Ease, Ials, ItemToItem, Jpq, Popularity, Sasrec, Student, VmisKnn
from contracts.section import Count, Name, Percent, Positive, Section
from contracts.slo import Objective
from contracts.thresholds import parse_threshold

KeyHash = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
PROMOTION_COSTS = ("latency", "size", "memory", "throughput")
"""What the cheapest can mean in [promotion] cost."""

FP32 = "fp32"
CONVERSIONS = (FP32, "fp16", "int8-dynamic", "int8-static")
"""The variants that a trained run can be converted to."""
HEADS = ("scann", "int8-rerank", "int4-rerank", "ivf")
"""Those in which a large catalog is not scored whole; of runs with item embeddings."""
JPQ, JPQ_IVF = "jpq", "jpq-ivf"
"""The compression that is learned, and its own head."""
CONVERTED = (*CONVERSIONS[1:], *HEADS, JPQ_IVF)
"""All that are made from the uncompressed graph of their run."""


class Paths(Section):
    artifacts: Path = Path("artifacts")
    runs: Path = Path("runs")
    reports: Path = Path("reports")
    bundle: Path = Path("bundle")
    state: Path = Path(".flyweight")
    events: Path = Path("events")
    served: Path = Path("served")

    def __post_init__(self) -> None:
        if self.events == self.served:
            raise ValueError(f"served: found the folder of events, {str(self.events)!r}, expected another one")


class Log(Section):
    user_id: Name = "user_id"
    item_id: Name = "item_id"
    timestamp: Name = "timestamp"
    event_type: Name = "event_type"
    weight: Name = "weight"
    session_id: Name = "session_id"
    title: Name = "title"
    event_types: tuple[str, ...] = ()


class Split(Section):
    protocol: Literal["time-split", "leave-one-out"] = "time-split"
    validation_percent: Annotated[float, Meta(gt=0, lt=50)] = 10.0
    holdout_percent: Annotated[float, Meta(gt=0, lt=50)] = 10.0


class Training(Section):
    seed: Count = 1
    max_history: Annotated[int, Meta(ge=1, le=1000)] = 50
    threads: Count = 0
    refit: Literal["none", "train+validation", "all"] = "train+validation"


class Export(Section):
    variants: Annotated[tuple[str, ...], Meta(min_length=1)] = CONVERSIONS
    heads: tuple[str, ...] = HEADS
    heads_from: Positive = 10_000
    recall: Annotated[float, Meta(gt=0, le=1)] = 0.98
    opset: Annotated[int, Meta(ge=18, le=23)] = 20
    probes: Annotated[int, Meta(ge=1, le=1000)] = 16

    def __post_init__(self) -> None:
        for name, asked, allowed in (("variants", self.variants, CONVERSIONS), ("heads", self.heads, HEADS)):
            unknown = [variant for variant in asked if variant not in allowed]
            if unknown or len(set(asked)) < len(asked):
                problem = f"cannot make {unknown[0]!r}" if unknown else "one stands there twice"
                raise ValueError(f"{name}: {problem}; allowed, each once: {', '.join(allowed)}")


class Measuring(Section):
    batch_sizes: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (1, 8, 32)
    rounds: Positive = 5
    calls_per_round: Positive = 100
    questions: Positive = 10_000
    resamples: Annotated[int, Meta(ge=100)] = 1000


class Promotion(Section):
    metric: Literal["NDCG@10", "HitRate@10", "MRR@20", "HitRate@20", "Recall@20"] = "NDCG@10"
    min_improvement: Annotated[float, Meta(ge=0)] = 0.0
    max_degradation: Percent = 2.0
    threshold: tuple[str, ...] = ()
    cost: Annotated[tuple[str, ...], Meta(min_length=1)] = ("latency", "size")

    def __post_init__(self) -> None:
        try:
            self.limits()
        except ValueError as error:
            raise ValueError(f"threshold: {error}") from error
        unknown = [kind for kind in self.cost if kind not in PROMOTION_COSTS]
        if unknown or len(set(self.cost)) < len(self.cost):
            problem = f"cannot use {unknown[0]!r}" if unknown else "one stands there twice"
            raise ValueError(f"cost: {problem}; allowed, each once: {', '.join(PROMOTION_COSTS)}")

    def limits(self) -> tuple[Objective, ...]:
        return tuple(map(parse_threshold, self.threshold))


class Service(Section):
    host: Name = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 3000
    workers: Count = 0
    shortcut: bool = True
    max_batch: Positive = 64
    max_in_flight: Positive = 1024
    deadline_ms: Annotated[int, Meta(ge=1, le=3000)] = 100
    max_body_bytes: Positive = 1_048_576
    body_timeout_ms: Positive = 5000
    pointer_check_ms: Positive = 1000
    drain_seconds: Annotated[float, Meta(ge=0, le=600)] = 2.0
    missing_worker_seconds: Positive = 60
    api_keys: tuple[KeyHash, ...] = ()
    admin_keys: tuple[KeyHash, ...] = ()
    log_format: Literal["auto", "text", "json"] = "auto"


class Features(Section):
    redis_url: str = ""
    timeout_ms: Positive = 50
    history_length: Annotated[int, Meta(ge=1, le=10_000)] = 100
    ttl_days: Positive = 90
    cluster: bool = False

    def __post_init__(self) -> None:
        if self.redis_url and not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("redis-url: expected redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH")


class Events(Section):
    """`weights`: of each of the types, in what is trending. `history`: those of the types that the model sees."""

    types: Annotated[tuple[Name, ...], Meta(min_length=1)] = (
        "impression",
        "click",
        "view",
        "add-to-cart",
        "purchase",
    )
    weights: tuple[Annotated[float, Meta(ge=0)], ...] = (0.0, 1.0, 1.0, 3.0, 5.0)
    history: tuple[str, ...] = ("click", "view", "add-to-cart", "purchase")
    dedup_hours: Positive = 24
    timeout_ms: Positive = 1000
    max_in_flight: Positive = 64
    trending_minutes: Annotated[int, Meta(ge=12, le=7 * 24 * 60)] = 60
    trending_from: Annotated[float, Meta(gt=0)] = 100.0
    served_percent: Percent = 1.0
    served_kept: Positive = 1_000_000

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.types):
            raise ValueError(
                f"weights: found {len(self.weights)}, expected one for each of {len(self.types)} types"
            )
        if unknown := [kind for kind in self.history if kind not in self.types]:
            raise ValueError(f"history: found {unknown[0]!r}; allowed are those of types: {', '.join(self.types)}")


class Settings(Section):
    paths: Paths = Paths()
    log: Log = Log()
    split: Split = Split()
    training: Training = Training()
    popularity: Popularity = Popularity()
    item_to_item: ItemToItem = ItemToItem()
    vmis_knn: VmisKnn = VmisKnn()
    ials: Ials = Ials()
    ease: Ease = Ease()
    sasrec: Sasrec = Sasrec()
    jpq: Jpq = Jpq()
    blend: Blend = Blend()
    student: Student = Student()
    export: Export = Export()
    measuring: Measuring = Measuring()
    promotion: Promotion = Promotion()
    service: Service = Service()
    features: Features = Features()
    events: Events = Events()
    loadtest: Loadtest = Loadtest()
    slo: Slo = Slo()
