"""When requests are due: the laws of their times, held against five standard deviations of a seeded sample."""

import random
from itertools import pairwise
from math import exp, sqrt
from statistics import correlation, fmean, variance

import pytest

from loadtests.arrivals import poisson, poisson_of, recorded

RATE, SECONDS = 20.0, 1000


@pytest.fixture(scope="module")
def arrivals() -> list[float]:
    return list(poisson(RATE, SECONDS, random.Random(1)))


def gaps_of(arrivals):
    return [later - earlier for earlier, later in pairwise([0.0, *arrivals])]


def counts_by_second(arrivals):
    counts = [0] * SECONDS
    for moment in arrivals:
        counts[int(moment)] += 1
    return counts


def test_arrivals_come_in_order_and_within_the_duration(arrivals):
    assert arrivals == sorted(arrivals)
    assert 0 < arrivals[0] < arrivals[-1] < SECONDS


def test_number_of_arrivals_per_second_has_the_rate_as_its_mean_and_as_its_variance(arrivals):
    counts = counts_by_second(arrivals)
    assert abs(fmean(counts) - RATE) < 5 * sqrt(RATE / SECONDS)
    assert abs(variance(counts) - RATE) < 5 * sqrt((RATE + 2 * RATE**2) / SECONDS)


def test_time_between_arrivals_is_exponential(arrivals):
    gaps = sorted(gaps_of(arrivals))
    furthest = max(abs((place + 0.5) / len(gaps) - (1 - exp(-RATE * gap))) for place, gap in enumerate(gaps))
    assert furthest < 1.95 / sqrt(len(gaps))  # Kolmogorov and Smirnov, one in a thousand


def test_one_gap_says_nothing_about_the_next(arrivals):
    gaps = gaps_of(arrivals)
    assert abs(correlation(gaps[:-1], gaps[1:])) < 5 / sqrt(len(gaps))


def test_luck_alone_tells_two_runs_apart():
    first, again, other = (list(poisson(RATE, 10, random.Random(seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_arrivals_are_made_one_by_one_so_that_a_long_run_costs_nothing_before_it_begins():
    endless = poisson(RATE, float("inf"), random.Random(1))
    assert next(endless) < next(endless)


def test_rate_that_changes_is_kept_before_during_and_after_the_change():
    def rate_at(moment):
        return 100.0 if 40 <= moment < 60 else 20.0

    arrivals = list(poisson_of(rate_at, 100.0, 100, random.Random(2)))
    assert arrivals == sorted(arrivals)
    for begins, ends in ((0, 40), (40, 60), (60, 100)):
        expected = rate_at(begins) * (ends - begins)
        found = sum(begins <= moment < ends for moment in arrivals)
        assert abs(found - expected) < 5 * sqrt(expected)


def test_rate_that_grows_steadily_is_kept_in_its_halves():
    arrivals = list(poisson_of(lambda moment: moment, 100.0, 100, random.Random(3)))
    first_half = sum(moment < 50 for moment in arrivals)
    assert abs(first_half - 1250) < 5 * sqrt(1250)  # a quarter of the 5000 under the whole slope
    assert abs(len(arrivals) - 5000) < 5 * sqrt(5000)


def test_nobody_comes_while_the_rate_is_zero():
    arrivals = poisson_of(lambda moment: 0.0 if moment < 50 else 10.0, 10.0, 100, random.Random(4))
    assert min(arrivals) >= 50


def test_thinning_takes_nothing_away_where_the_rate_is_always_the_highest():
    arrivals = list(poisson_of(lambda moment: RATE, RATE, SECONDS, random.Random(5)))
    assert abs(len(arrivals) - RATE * SECONDS) < 5 * sqrt(RATE * SECONDS)


def test_recorded_visits_come_as_they_came_once_only_faster():
    visits = [(0.0, 3), (4.0, 0), (4.0, 1), (10.0, 3)]
    assert list(recorded(visits, 1.0, 60)) == [0.0, 4.0, 4.0, 10.0]
    assert list(recorded(visits, 2.0, 60)) == [0.0, 2.0, 2.0, 5.0]
    assert list(recorded(visits, 0.5, 60)) == [0.0, 8.0, 8.0, 20.0]


def test_recorded_visits_end_with_the_duration():
    visits = [(0.0, 0), (8.0, 0), (10.0, 0)]
    assert list(recorded(visits, 2.0, 5)) == [0.0, 4.0]  # the third is due at 5.0, when the run is over
    assert list(recorded([], 1.0, 60)) == []
