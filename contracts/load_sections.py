"""Settings of load tests: how hard, by whom, and what must be kept."""

from typing import Annotated

from msgspec import Meta

from contracts.section import Count, Percent, Positive, Section
from contracts.slo import Objective, objectives_of, parse_objective


class Loadtest(Section):
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


class Slo(Section):
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
