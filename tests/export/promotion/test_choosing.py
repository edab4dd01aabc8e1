"""The cheapest of those that are good enough, by the costs in their order, ties and noise included."""

import random

import pytest

from contracts.sections import Promotion
from export.measuring.footprint import Footprint
from export.promotion.decision import decide

RULE = Promotion(max_degradation=2.0)


def test_of_those_good_enough_the_fastest_wins(popularity, plant):
    rivals = [popularity, plant("ease:fp32", 0.099, 0.1), plant("sasrec:fp32", 0.1, 1)]
    assert decide(rivals, RULE).winner == "ease:fp32"


def test_latencies_inside_the_spread_are_a_tie_and_the_smaller_wins(popularity, plant):
    big = plant("ease:fp32", 0.1, 0.50, spread_ms=0.1, size_mb=9)
    small = plant("sasrec:fp32", 0.1, 0.55, spread_ms=0.1, size_mb=3)
    assert decide([popularity, big, small], RULE).winner == "sasrec:fp32"


@pytest.mark.parametrize(("slower_ms", "winner"), [(0.7, "sasrec:fp32"), (0.7001, "ease:fp32")])
def test_spreads_that_touch_are_a_tie_and_a_gap_is_none(slower_ms, winner, popularity, plant):
    big = plant("ease:fp32", 0.1, 0.50, spread_ms=0.1, size_mb=9)
    small = plant("sasrec:fp32", 0.1, slower_ms, spread_ms=0.1, size_mb=3)
    assert decide([popularity, big, small], RULE).winner == winner


def test_only_those_tied_with_the_cheapest_one_are_tied_however_the_spreads_chain(popularity, plant):
    first = plant("ease:fp32", 0.1, 0.50, spread_ms=0.1, size_mb=9)
    second = plant("ials:fp32", 0.1, 0.65, spread_ms=0.1, size_mb=8)
    third = plant("sasrec:fp32", 0.1, 0.80, spread_ms=0.1, size_mb=1)  # tied with the second, not with the first
    assert decide([popularity, first, second, third], RULE).winner == "ials:fp32"


def test_equal_in_every_cost_the_lower_version_wins(popularity, plant):
    rivals = [popularity, plant("sasrec:fp32", 0.1, version="a"), plant("ease:fp32", 0.1, version="b")]
    decision = decide(rivals, RULE)
    assert decision.version == "a"
    assert "of 2 good enough one of 2 equal in latency and size, the lower version" in decision.reason


COSTS = [
    (("latency",), "ease:fp32"),
    (("size",), "ials:fp32"),
    (("memory",), "sasrec:fp32"),
    (("throughput",), "blend:fp32"),
    (("memory", "size", "latency"), "sasrec:fp32"),
]


@pytest.mark.parametrize(("cost", "winner"), COSTS)
def test_the_first_cost_decides_before_the_next(cost, winner, popularity, plant, timed):
    rivals = [
        popularity,
        plant("ease:fp32", 0.1, 0.1, size_mb=4, footprint=Footprint(1, 40)),
        plant("ials:fp32", 0.1, 0.2, size_mb=1, footprint=Footprint(1, 41)),
        plant("sasrec:fp32", 0.1, 0.3, size_mb=3, footprint=Footprint(1, 20)),
        plant(
            "blend:fp32", 0.1, size_mb=2, footprint=Footprint(1, 42), latency=[timed(9), timed(1, batch_size=32)]
        ),
    ]
    assert decide(rivals, Promotion(cost=cost)).winner == winner


def test_memory_within_half_a_megabyte_is_a_tie(popularity, plant):
    def winner(memory_mb):
        rivals = [
            plant("ease:fp32", 0.1, 0.5, footprint=Footprint(1, 20)),
            plant("sasrec:fp32", 0.1, 0.1, footprint=Footprint(1, memory_mb)),
        ]
        return decide([popularity, *rivals], Promotion(cost=("memory", "latency"))).winner

    assert (winner(20.5), winner(20.6)) == ("sasrec:fp32", "ease:fp32")


def test_throughput_counts_the_best_batch_of_each_with_its_spread(popularity, plant, timed):
    bulk = plant(
        "sasrec:fp32", 0.1, size_mb=9, latency=[timed(1), timed(2, batch_size=32), timed(9, batch_size=128)]
    )
    single = plant("ease:fp32", 0.1, latency=[timed(0.07), timed(20, batch_size=32)])
    rule = Promotion(cost=("throughput", "size"))
    assert decide([popularity, bulk, single], rule).winner == "sasrec:fp32"
    unsteady = plant("ease:fp32", 0.1, latency=[timed(0.07, spread_ms=0.01)])  # 0.06 at best, against 0.0625
    assert decide([popularity, bulk, unsteady], rule).winner == "ease:fp32"


def test_the_smallest_batch_decides_latency_whatever_the_order_of_measuring(popularity, plant, timed):
    quick = plant("ease:fp32", 0.1, latency=[timed(9, batch_size=32), timed(0.1)])
    slow = plant("sasrec:fp32", 0.1, latency=[timed(1, batch_size=32), timed(0.2)])
    assert decide([popularity, slow, quick], RULE).winner == "ease:fp32"


def test_the_order_of_the_candidates_changes_nothing(popularity, plant):
    chance = random.Random(5)
    winners = set()
    for _ in range(150):
        rivals = [popularity] + [
            plant(
                f"sasrec:v{i}", round(chance.uniform(0.096, 0.1), 3), round(chance.uniform(0.1, 0.3), 1),
                spread_ms=chance.choice([0.0, 0.05, 0.1]), size_mb=chance.choice([1, 2]),
            )
            for i in range(6)
        ]  # fmt: skip
        rule = Promotion(
            threshold=chance.choice([(), ("p99_ms <= 0.4",)]), cost=chance.choice([("latency", "size"), ("size",)])
        )
        first = decide(rivals, rule)
        for _ in range(5):
            chance.shuffle(rivals)
            assert decide(rivals, rule) == first
        winners.add(first.winner)
    assert len(winners) > 3
