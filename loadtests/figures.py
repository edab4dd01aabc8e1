"""What a run comes to in numbers: rates, shares, percentiles, and what its pictures are drawn from.

Percentiles are by nearest rank over every request that was due, and need at least 10 / (1 - p) of them.
"""

import msgspec
from hdrh.histogram import HdrHistogram

from loadtests.counting import new_histogram
from loadtests.objectives import percentile_ms
from loadtests.tally import Tally
from loadtests.validity import samples_needed

PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)


class Figures(msgspec.Struct, forbid_unknown_fields=True):
    """Rates are by the time in which requests were due; shares are 0 to 1.

    `latency_ms` leaves out a percentile with too few samples; None is beyond any bound. `first_good_seconds`: from
    the start to the first good answer; None where none came.
    """

    requests_per_second: float
    goodput_per_second: float
    success: float
    goodput: float
    degraded: float | None
    latency_ms: dict[str, float | None]
    lag_ms: dict[str, float]
    first_good_seconds: float | None = None
    accepted_ms: dict[str, float] = {}
    """Of valid answers alone: says something only beside the share of the others."""


class OneSecond(msgspec.Struct, forbid_unknown_fields=True):
    """For pictures. Milliseconds; None where no valid answer came."""

    second: int
    begun: int
    failed: int
    degraded: int
    p50_ms: float | None
    p99_ms: float | None


def measure(tally: Tally) -> Figures:
    """The figures of a run that had answers."""
    counts, seconds = tally.counts, tally.health.due_seconds or tally.health.seconds
    valid_us = valid_us_of(tally)
    return Figures(
        requests_per_second=counts.answered / seconds,
        goodput_per_second=counts.good / seconds,
        success=counts.valid / counts.begun,
        goodput=counts.good / counts.begun,
        degraded=degraded_share(tally),
        latency_ms={
            f"p{percent:g}": percentile_ms(valid_us, percent, counts.begun)
            for percent in PERCENTS
            if counts.begun >= samples_needed(percent)
        },
        lag_ms={f"p{percent:g}": tally.lag_us.get_value_at_percentile(percent) / 1000 for percent in (50, 99)},
        first_good_seconds=tally.health.first_good_seconds,
        accepted_ms={
            f"p{percent:g}": valid_us.get_value_at_percentile(percent) / 1000
            for percent in PERCENTS
            if counts.valid >= samples_needed(percent)
        },
    )


def valid_us_of(tally: Tally) -> HdrHistogram:
    total = new_histogram()
    total.add(tally.healthy_us)
    total.add(tally.degraded_us)
    return total


def degraded_share(tally: Tally) -> float | None:
    degraded, healthy = tally.degraded_us.get_total_count(), tally.healthy_us.get_total_count()
    return degraded / (degraded + healthy) if degraded + healthy else None


def by_second(tally: Tally) -> list[OneSecond]:
    found = []
    for number, one in sorted(tally.seconds.items()):
        p50, p99 = (_of_second(one.latency_us, percent) for percent in (50, 99))
        found.append(OneSecond(number, one.begun, one.failed, one.degraded, p50, p99))
    return found


def _of_second(latency_us: HdrHistogram, percent: float) -> float | None:
    return latency_us.get_value_at_percentile(percent) / 1000 if latency_us.get_total_count() else None


def curve_of(tally: Tally) -> list[tuple[float, float]]:
    """From the median towards the slowest of all requests, ten points for each nine; failures lie beyond."""
    valid_us, begun = valid_us_of(tally), tally.counts.begun
    shares = [1 - 0.5 * 10 ** (-step / 10) for step in range(61)]
    points = [(share, percentile_ms(valid_us, 100 * share, begun)) for share in shares if begun * (1 - share) >= 1]
    return [(share, ms) for share, ms in points if ms is not None]
