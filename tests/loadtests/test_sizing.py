"""From a capacity to replicas and money."""

import pytest

from loadtests.sizing import HOURS_PER_MONTH, Sizing, size, size_by_cpu


@pytest.mark.parametrize(
    ("target", "capacity", "headroom", "replicas"),
    [
        (500, 1000, 0.0, 1),
        (1000, 1000, 0.0, 1),
        (1001, 1000, 0.0, 2),
        (1000, 1000, 0.5, 2),
        (2000, 700, 0.3, 5),  # 4.08 of 490 requests per second each
        (0.5, 1000, 0.3, 1),
    ],
)
def test_replicas_reach_the_target_with_the_headroom_left_free(target, capacity, headroom, replicas):
    assert size(target, capacity, 2, headroom=headroom, price=None).replicas == replicas


@pytest.mark.parametrize("headroom", [0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("replicas", [1, 2, 3, 10])
def test_target_that_replicas_reach_exactly_takes_no_more_of_them(headroom, replicas):
    target = round(700 * (1 - headroom) * replicas, 6)
    assert size(target, 700, 1, headroom=headroom, price=None).replicas == replicas


def test_money_is_vcpus_times_hours_times_price():
    found = size(2000, 700, 4, headroom=0.3, price=0.05)
    assert HOURS_PER_MONTH == 730
    assert found == Sizing(2000, 0.3, 5, 20, 0.05, pytest.approx(20 * 730 * 0.05))


def test_without_a_price_there_are_vcpus_but_no_money():
    found = size(2000, 700, 4, headroom=0.3, price=None)
    assert (found.vcpus, found.price, found.per_month) == (20, None, None)


def test_service_that_costs_nothing_is_told_from_one_without_a_price():
    assert size(2000, 700, 4, headroom=0.3, price=0.0).per_month == 0


def test_vcpus_by_the_cpu_time_of_a_request():
    found = size_by_cpu(10_000, 140.0, 2, headroom=0.3, price=0.05)  # 1.4 vCPUs busy, 2 with what stays free
    assert (found.vcpus, found.replicas) == (2, 1)
    assert found.per_month == pytest.approx(2 * 0.05 * 730)
    assert size_by_cpu(10_000, 141.0, 2, headroom=0.3, price=None).vcpus == 3
