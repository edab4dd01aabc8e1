"""Every setting there is: its type, its bounds and its default. `flyweight.toml` explains them to a user."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from contracts.slo import Objective, objectives_of, parse_objective
from contracts.thresholds import parse_threshold

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]
Ratio = Annotated[float, Meta(gt=0)]
PopularShares = Annotated[tuple[Annotated[float, Meta(ge=0)], ...], Meta(min_length=1)]
Name = Annotated[str, Meta(min_length=1)]
KeyHash = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
PROMOTION_COSTS = ("latency", "size", "memory", "throughput")
"""What the cheapest can mean in [promotion] cost."""

FP32 = "fp32"
CONVERSIONS = (FP32, "fp16", "int8-dynamic", "int8-static")
"""The variants that a trained run can be converted to."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    pass


class Paths(_Section):
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


class Log(_Section):
    user_id: Name = "user_id"
    item_id: Name = "item_id"
    timestamp: Name = "timestamp"
    event_type: Name = "event_type"
    weight: Name = "weight"
    session_id: Name = "session_id"
    title: Name = "title"
    event_types: tuple[str, ...] = ()


class Split(_Section):
    protocol: Literal["time-split", "leave-one-out"] = "time-split"
    validation_percent: Annotated[float, Meta(gt=0, lt=50)] = 10.0
    holdout_percent: Annotated[float, Meta(gt=0, lt=50)] = 10.0


class Training(_Section):
    seed: Count = 1
    max_history: Annotated[int, Meta(ge=1, le=1000)] = 50
    threads: Count = 0
    refit: Literal["none", "train+validation", "all"] = "train+validation"


class Popularity(_Section):
    half_lives_days: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (
        1.0,
        3.0,
        7.0,
        14.0,
        30.0,
        90.0,
        365.0,
    )


class ItemToItem(_Section):
    neighbours: Annotated[tuple[Annotated[int, Meta(ge=1, le=500)], ...], Meta(min_length=1)] = (10, 20, 50)
    enough: Percent = 1.0
    windows: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (5, 20, 60)
    decays: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.3, 0.6, 0.85, 1.0)
    idf: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.0, 0.25, 0.5)
    popularity: PopularShares = (0.0, 0.3, 1.0, 3.0)


class VmisKnn(_Section):
    sessions: Positive = 50_000
    session_length: Annotated[int, Meta(ge=2, le=1000)] = 20
    sessions_per_item: Annotated[int, Meta(ge=1, le=10_000)] = 100
    newest: Positive = 5
    neighbours: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (50, 100, 200)
    decays: Annotated[tuple[Annotated[float, Meta(gt=0, le=1)], ...], Meta(min_length=1)] = (0.3, 0.6, 0.85)
    popularity: PopularShares = (0.0, 1.0, 3.0, 10.0)


class Ials(_Section):
    factors: Positive = 64
    iterations: Positive = 15
    regularizations: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (1.0, 10.0, 100.0, 1000.0)
    alphas: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (3.0, 10.0, 30.0, 100.0)
    decays: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.6, 0.85, 1.0)
    popularity: PopularShares = (0.0, 0.1, 0.3, 1.0, 3.0)


class Ease(_Section):
    max_items: Positive = 6000
    neighbours: Annotated[int, Meta(ge=1, le=500)] = 20
    l2: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (0.3, 3.0, 30.0, 300.0)
    decays: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.3, 0.6, 0.85, 1.0)
    popularity: PopularShares = (0.0, 0.3, 1.0, 3.0)


class Sasrec(_Section):
    dimension: Positive = 64
    layers: Positive = 1
    heads: Positive = 2
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    learning_rate: Ratio = 0.001
    batch_size: Positive = 128
    epochs: Positive = 40
    patience: Positive = 3
    full_softmax_scores: Count = 10_000_000_000
    negatives: Positive = 2048
    popularity: PopularShares = (0.0, 0.3, 1.0)

    def __post_init__(self) -> None:
        if self.dimension % self.heads:
            raise ValueError(f"heads: expected a divisor of dimension = {self.dimension}")


class Jpq(_Section):
    codebooks: Positive = 8
    centroids: Annotated[int, Meta(ge=2, le=256)] = 256


class Blend(_Section):
    neighbours: PopularShares = (0.0, 0.1, 0.3, 1.0, 3.0)


class Student(_Section):
    dimension: Positive = 16
    layers: Positive = 1
    heads: Positive = 1
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    prefixes: Positive = 100_000
    guesses: Positive = 50
    taught: Share = 0.7
    temperature: Ratio = 1.0

    def __post_init__(self) -> None:
        if self.dimension % self.heads:
            raise ValueError(f"heads: expected a divisor of dimension = {self.dimension}")


class Export(_Section):
    variants: Annotated[tuple[str, ...], Meta(min_length=1)] = CONVERSIONS
    opset: Annotated[int, Meta(ge=18, le=23)] = 20
    probes: Annotated[int, Meta(ge=1, le=1000)] = 16

    def __post_init__(self) -> None:
        unknown = [variant for variant in self.variants if variant not in CONVERSIONS]
        if unknown or len(set(self.variants)) < len(self.variants):
            problem = f"cannot make {unknown[0]!r}" if unknown else "one stands there twice"
            raise ValueError(f"variants: {problem}; allowed, each once: {', '.join(CONVERSIONS)}")


class Measuring(_Section):
    batch_sizes: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (1, 8, 32)
    rounds: Positive = 5
    calls_per_round: Positive = 100
    resamples: Annotated[int, Meta(ge=100)] = 1000


class Promotion(_Section):
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


class Service(_Section):
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


class Features(_Section):
    redis_url: str = ""
    timeout_ms: Positive = 50
    history_length: Annotated[int, Meta(ge=1, le=10_000)] = 100
    ttl_days: Positive = 90
    cluster: bool = False

    def __post_init__(self) -> None:
        if self.redis_url and not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("redis-url: expected redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH")


class Events(_Section):
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


class Loadtest(_Section):
    """`rate`: requests per second. `connections`: askers of a closed workload. `questions`: mean of a visit."""

    rate: Annotated[float, Meta(gt=0)] = 200.0
    duration_seconds: Positive = 20
    soak_seconds: Positive = 600
    connections: Positive = 64
    known_percent: Percent = 70.0
    anonymous_percent: Percent = 10.0
    questions: Annotated[float, Meta(ge=1)] = 3.0
    think_ms: Count = 1000
    spike_factor: Annotated[float, Meta(ge=1)] = 5.0
    zipf_exponent: Annotated[float, Meta(ge=0, le=10)] = 1.0
    session_exponent: Annotated[float, Meta(gt=1, le=10)] = 1.5
    popularity_exponent: Annotated[float, Meta(gt=1, le=10)] = 2.0
    k: Annotated[int, Meta(ge=1, le=500)] = 10
    max_lag_ms: Annotated[float, Meta(gt=0)] = 10.0
    retries: Count = 0
    events_rate: Annotated[float, Meta(gt=0)] = 100.0
    freshness_percent: Percent = 75.0

    def __post_init__(self) -> None:
        if self.known_percent + self.anonymous_percent > 100:
            raise ValueError("known-percent and anonymous-percent are more than 100 together")


class Slo(_Section):
    predict: Annotated[tuple[str, ...], Meta(min_length=1)] = (
        "p(50) < 25",
        "p(99) < 100",
        "goodput >= 0.999",
        "degraded < 0.01",
    )
    events: Annotated[tuple[str, ...], Meta(min_length=1)] = ("p(99) < 100", "success >= 0.999")
    freshness: Annotated[tuple[str, ...], Meta(min_length=1)] = ("p(99) < 10", "success >= 1")

    def __post_init__(self) -> None:
        try:
            tuple(map(parse_objective, self.predict))
        except ValueError as error:
            raise ValueError(f"predict: {error}") from error
        _check_without_answers("events", self.events)
        _check_without_answers("freshness", self.freshness)

    def objectives(self, scenario: str) -> list[Objective]:
        """What holds for /predict in a scenario."""
        return objectives_of(scenario, tuple(map(parse_objective, self.predict)))

    def event_objectives(self, scenario: str) -> list[Objective]:
        """What holds for calls of /events in a scenario."""
        return objectives_of(scenario, tuple(map(parse_objective, self.events)))

    def freshness_objectives(self, scenario: str) -> list[Objective]:
        """What holds for the time from a 202 to the answer that reflects the event; `success`: of the very next
        answers."""
        return objectives_of(scenario, tuple(map(parse_objective, self.freshness)))


def _check_without_answers(key: str, expressions: tuple[str, ...]) -> None:
    """Raises `ValueError` for what only an answer of /predict can be."""
    for expression in expressions:
        try:
            found = parse_objective(expression)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
        if found.percent is None and found.figure != "success":
            raise ValueError(f"{key}: cannot use {expression!r}; expected `p(99) < 20` or `success >= 0.999`")


class Settings(_Section):
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
