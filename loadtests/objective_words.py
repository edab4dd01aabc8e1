"""What an objective, a percentile or a count comes to, in words for a terminal."""

from collections.abc import Mapping

from loadtests.objectives import JudgedObjective


def describe_objective(one: JudgedObjective, of_what: str = "") -> str:
    if one.value is None:
        found = "too many failed"
    else:
        found = milliseconds(one.value) if one.is_latency else f"{one.value:.3%}"
    return f"  {'met   ' if one.met else 'MISSED'}      {f'{of_what} {one.expression}'.strip():<20} found {found}"


def percentiles(found: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {milliseconds(ms)}" for name, ms in found.items())


def milliseconds(value: float | None) -> str:
    return "beyond any bound (too many failed)" if value is None else f"{value:.2f} ms"


def listed(counter: Mapping[str, int]) -> str:
    """Each kind with its number."""
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counter.items()))
