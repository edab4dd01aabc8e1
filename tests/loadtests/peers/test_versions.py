"""Two versions in turn: what the ratios of a few rounds allow to say."""

import random

import pytest

from loadtests.peers.versions import Pair, interval_of


def pair(*ratios: float) -> Pair:
    return Pair("light", "flyweight", ratios, ratios, interval_of(list(ratios)))


def test_interval_of_six_rounds_is_all_of_them_and_of_nine_leaves_out_the_ends():
    assert interval_of([1.3, 0.9, 1.0, 1.1, 1.2, 0.8]) == (0.8, 1.3)
    assert interval_of([0.1, 9.0, 0.9, 1.0, 1.1, 1.2, 0.8, 1.3, 0.7]) == (0.7, 1.3)


def test_fewer_than_six_rounds_give_no_interval():
    with pytest.raises(ValueError, match="5 rounds give no interval; expected at least 6"):
        interval_of([1.0] * 5)


@pytest.mark.parametrize("rounds", [6, 9, 12])
def test_interval_holds_the_median_as_often_as_it_says(rounds: int):
    luck = random.Random(1)
    held = 0
    for _ in range(2000):
        low, high = interval_of([luck.lognormvariate(0.3, 0.2) for _ in range(rounds)])
        held += low <= 2.718281828**0.3 <= high
    assert held / 2000 >= 0.94


def test_a_clear_loss_of_more_than_a_twentieth_does_not_hold():
    assert not pair(0.90, 0.91, 0.92, 0.93, 0.94, 0.92).holds
    assert pair(0.96, 0.96, 0.97, 0.96, 0.97, 0.98).holds  # clear, but small
    assert pair(0.80, 0.85, 0.90, 1.02, 0.90, 0.85).holds  # large, but not clear
