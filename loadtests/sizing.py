"""From a capacity to machines and money: how many vCPUs a target rate takes, and what they cost."""

from math import ceil

import msgspec

HOURS_PER_MONTH = 730


class Sizing(msgspec.Struct, frozen=True):
    """`headroom`: share that stays free. `per_month`: in the currency of `price`, which is that of a vCPU-hour."""

    target_rate: float
    headroom: float
    replicas: int
    vcpus: int
    price: float | None
    per_month: float | None


def size(target_rate: float, capacity: float, vcpus_each: int, *, headroom: float, price: float | None) -> Sizing:
    """Replicas of `vcpus_each` that keep the SLO up to `capacity` requests per second."""
    replicas = _up(target_rate / (capacity * (1 - headroom)))
    return _sizing(target_rate, headroom, replicas, replicas * vcpus_each, price)


def size_by_cpu(
    target_rate: float, cpu_us: float, vcpus_each: int, *, headroom: float, price: float | None
) -> Sizing:
    """vCPUs of a service that takes `cpu_us` microseconds of CPU per request, with its generator elsewhere."""
    vcpus = _up(target_rate * cpu_us / 1e6 / (1 - headroom))
    return _sizing(target_rate, headroom, ceil(vcpus / vcpus_each), vcpus, price)


def _sizing(target_rate: float, headroom: float, replicas: int, vcpus: int, price: float | None) -> Sizing:
    per_month = None if price is None else vcpus * price * HOURS_PER_MONTH
    return Sizing(target_rate, headroom, replicas, vcpus, price, per_month)


def _up(value: float) -> int:
    """The next whole number; a hair above one, by rounding of the machine, is that one."""
    return ceil(round(value, 6))
