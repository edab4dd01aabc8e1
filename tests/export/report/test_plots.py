import re

import numpy as np
import pytest

from export.measuring.evaluation import Estimate
from export.report.pareto import Point, pareto_front
from export.report.plots import Reference, plot_costs


def point(number: int, quality: float, cost: float) -> Point:
    return Point(number, "sasrec", "fp32", Estimate(quality, quality - 0.002, quality + 0.002), cost)


def test_the_front_holds_what_nothing_cheaper_is_as_good_as():
    points = [point(1, 0.1, 1.0), point(2, 0.2, 2.0), point(3, 0.15, 3.0), point(4, 0.2, 2.0), point(5, 0.3, 9.0)]
    assert [p.number for p in pareto_front(points)] == [1, 2, 5]


def test_thirty_points_are_all_labelled_once():
    rng = np.random.default_rng(5)
    points = [point(n, 0.1 + rng.normal() / 100, float(rng.lognormal())) for n in range(1, 31)]
    drawn = plot_costs(points, 7, Reference(0.05, (0.1, 0.11)), "p50, ms", "NDCG@10")
    labels = re.findall(r"<text[^>]*>(\d+)(?: [a-z0-9:-]+)?</text>", drawn.split("NDCG@10</text>")[-1])
    assert sorted(map(int, labels)) == list(range(1, 31))
    assert re.search(r"font-weight: 700[^>]*>7 sasrec:fp32</text>", drawn)
    assert drawn.count("<title>") == 30


@pytest.mark.parametrize(
    ("costs", "ticks"),
    [
        ((0.02, 0.03), ["0.015", "0.02", "0.03", "0.04", "0.05"]),
        ((0.02, 0.9), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
        ((0.02, 900.0), ["0.1", "1", "10", "100", "1000"]),
    ],
)
def test_the_scale_of_cost_shows_a_few_round_values(costs, ticks):
    points = [point(n, 0.1, cost) for n, cost in enumerate(costs, 1)]
    drawn = plot_costs(points, None, Reference(0.05, None), "size, MB", "NDCG@10")
    before_the_name = drawn[: drawn.index("size, MB</text>")]
    assert re.findall(r"<text[^>]*>([\d.]+)</text>", before_the_name) == ticks
