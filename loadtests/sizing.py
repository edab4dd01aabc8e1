"""From a capacity to machines and money: how many replicas a target rate takes, and what they cost."""

from math import ceil

import msgspec

HOURS_PER_MONTH = 730


class Sizing(msgspec.Struct, frozen=True):
    """`headroom`: share of the capacity that stays free. `per_month`: in the currency of `price`."""

    target_rate: float
    headroom: float
    replicas: int
    vcpus: int
    price: float | None
    per_month: float | None


def size(target_rate: float, capacity: float, vcpus_each: int, *, headroom: float, price: float | None) -> Sizing:
    """Replicas of `vcpus_each` that keep the SLO up to `capacity` requests per second. `price`: of a vCPU-hour."""
    replicas = ceil(round(target_rate / (capacity * (1 - headroom)), 6))
    vcpus = replicas * vcpus_each
    per_month = None if price is None else vcpus * price * HOURS_PER_MONTH
    return Sizing(target_rate, headroom, replicas, vcpus, price, per_month)
