"""Who is good enough: each rule decides as written, at its bound too."""

import pytest

from contracts.sections import Promotion
from contracts.thresholds import QUALITIES
from export.measuring.footprint import Footprint
from export.promotion.decision import decide

RULE = Promotion(min_improvement=0.0, max_degradation=2.0)


def test_a_cheaper_one_that_gives_up_too_much_is_refused(popularity, plant, verdict_of):
    decision = decide([popularity, plant("ease:fp32", 0.097, 0.1), plant("sasrec:fp32", 0.1, 1)], RULE)
    assert decision.winner == "sasrec:fp32"
    refused = verdict_of(decision, "ease:fp32")
    assert refused.why == "refused: 3 % below the best, 2 % is allowed"
    assert refused.misses[0].over_percent == pytest.approx(1)


@pytest.mark.parametrize(("ndcg", "allowed"), [(0.098, True), (0.0979999, False), (0.0980001, True)])
def test_exactly_the_allowed_degradation_is_allowed(ndcg, allowed, popularity, plant, verdict_of):
    decision = decide([popularity, plant("ease:fp32", ndcg, 0.1), plant("sasrec:fp32", 0.1, 1)], RULE)
    assert verdict_of(decision, "ease:fp32").good_enough == allowed


def test_no_degradation_allowed_means_the_best_or_its_equal(popularity, plant):
    rivals = [
        popularity,
        plant("ease:fp32", 0.0999, 0.1),
        plant("ials:fp32", 0.1, 0.5),
        plant("sasrec:fp32", 0.1, 1),
    ]
    assert decide(rivals, Promotion(max_degradation=0)).winner == "ials:fp32"


def test_a_gain_that_may_be_chance_is_no_improvement(popularity, plant, verdict_of):
    lucky = plant("sasrec:fp32", 0.060, 0.001, gain=(-0.001, 0.021))
    decision = decide([popularity, lucky], RULE)
    assert decision.winner == "popularity:fp32"
    why = "refused: gains -0.0010 to +0.0210 over popularity (95 %), above +0.0000 is asked for"
    assert verdict_of(decision, "sasrec:fp32").why == why


def test_an_interval_that_ends_at_zero_is_no_improvement(popularity, plant):
    assert (
        decide([popularity, plant("sasrec:fp32", 0.06, 0.001, gain=(0.0, 0.02))], RULE).version
        == "popularity@fp32"
    )


def test_min_improvement_is_percent_of_the_baseline_and_must_be_exceeded(popularity, plant):
    rivals = [popularity, plant("sasrec:fp32", 0.060, 1, gain=(0.004, 0.016))]
    assert decide(rivals, Promotion(min_improvement=7.9)).winner == "sasrec:fp32"  # 0.00395 is asked for
    assert decide(rivals, Promotion(min_improvement=8.0)).winner == "popularity:fp32"  # 0.00400
    assert decide(rivals, Promotion(min_improvement=8.1)).winner == "popularity:fp32"


def test_one_that_may_be_best_by_chance_does_not_hold_back_one_that_is_surely_better(popularity, plant):
    lucky = plant("sasrec:fp32", 0.080, 1, gain=(-0.001, 0.061))
    assert decide([popularity, plant("ease:fp32", 0.070, 0.1), lucky], RULE).winner == "ease:fp32"


def test_popularity_within_the_allowed_loss_is_good_enough_and_cheapest(plant):
    rivals = [plant("popularity:fp32", 0.099, 0.01), plant("sasrec:fp32", 0.100, 1, gain=(0.0005, 0.0015))]
    assert decide(rivals, RULE).winner == "popularity:fp32"


def test_popularity_that_is_surely_beaten_by_far_does_not_ship(popularity, plant):
    assert decide([popularity, plant("sasrec:fp32", 0.1, 1)], RULE).winner == "sasrec:fp32"


LIMITS = [
    ("p50_ms <= 1", 1.0, 1.001),
    ("p99_ms <= 2", 1.0, 1.001),
    ("throughput >= 1000", 1.0, 1.001),
]


@pytest.mark.parametrize(("limit", "kept_ms", "missed_ms"), LIMITS)
def test_a_limit_on_speed_is_kept_at_the_bound_and_missed_beyond(limit, kept_ms, missed_ms, popularity, plant):
    rule = Promotion(threshold=(limit,))
    assert decide([popularity, plant("sasrec:fp32", 0.1, kept_ms)], rule).winner == "sasrec:fp32"
    assert decide([popularity, plant("sasrec:fp32", 0.1, missed_ms)], rule).winner == "popularity:fp32"


@pytest.mark.parametrize(
    ("limit", "kept", "missed"), [("size_mb <= 20", 20.0, 20.000001), ("size_mb < 20", 19.9, 20)]
)
def test_a_limit_on_size_counts_megabytes_and_a_strict_one_excludes_its_bound(
    limit, kept, missed, popularity, plant
):
    rule = Promotion(threshold=(limit,))
    assert decide([popularity, plant("sasrec:fp32", 0.1, 1, size_mb=kept)], rule).winner == "sasrec:fp32"
    assert decide([popularity, plant("sasrec:fp32", 0.1, 1, size_mb=missed)], rule).winner == "popularity:fp32"


@pytest.mark.parametrize(
    ("limit", "kept", "missed"),
    [
        ("memory_mb <= 200", Footprint(50, 200), Footprint(50, 200.1)),
        ("start_ms <= 1000", Footprint(1000, 30), Footprint(1000.1, 30)),
    ],
)
def test_a_limit_on_a_fresh_process_is_kept_at_the_bound(limit, kept, missed, popularity, plant):
    rule = Promotion(threshold=(limit,))
    assert decide([popularity, plant("sasrec:fp32", 0.1, footprint=kept)], rule).winner == "sasrec:fp32"
    assert decide([popularity, plant("sasrec:fp32", 0.1, footprint=missed)], rule).winner == "popularity:fp32"


@pytest.mark.parametrize("metric", QUALITIES)
def test_a_limit_on_a_quality_binds_popularity_too(metric, popularity, plant, verdict_of, requalified):
    rule = Promotion(threshold=(f"{metric} >= 0.05",))
    rivals = [requalified(popularity, metric, 0.049), requalified(plant("sasrec:fp32", 0.1, 1), metric, 0.05)]
    decision = decide(rivals, rule)
    if metric != "NDCG@10":  # where 0.05 is not sure to be better
        assert decision.winner == "sasrec:fp32"
    assert f"misses `{metric} >= 0.05` with 0.049" in verdict_of(decision, "popularity:fp32").why


def test_a_head_that_finds_too_little_of_the_exact_ten_is_refused(popularity, plant, verdict_of):
    rule = Promotion(threshold=("recall >= 0.98",))
    heads = plant("sasrec:ivf", 0.1, 0.2, recall=0.979), plant("sasrec:int4-rerank", 0.1, 1, recall=0.98)
    decision = decide([popularity, *heads, plant("sasrec:fp32", 0.1, 5)], rule)
    assert decision.winner == "sasrec:int4-rerank"
    assert "misses `recall >= 0.98` with 0.979" in verdict_of(decision, "sasrec:ivf").why


def test_limits_come_first_so_that_a_giant_bars_no_one(popularity, plant):
    rivals = [popularity, plant("ease:fp32", 0.08, 0.1), plant("sasrec:fp32", 0.1, 9)]
    assert decide(rivals, RULE).winner == "sasrec:fp32"
    limited = decide(rivals, Promotion(threshold=("p99_ms <= 5",)))
    assert limited.winner == "ease:fp32"
    assert "Without the limits sasrec:fp32 would be the best with 0.1000; it misses `p99_ms <= 5` with 18." in (
        limited.reason
    )


def test_every_rule_that_is_missed_is_named(popularity, plant, verdict_of):
    bad = plant("sasrec:fp32", 0.06, 9, size_mb=30, gain=(-0.01, 0.03))
    rule = Promotion(threshold=("p99_ms <= 5", "size_mb <= 20"))
    verdict = verdict_of(decide([popularity, plant("ease:fp32", 0.1, 0.1), bad], rule), "sasrec:fp32")
    assert [miss.rule for miss in verdict.misses] == [
        "min-improvement",
        "threshold",
        "threshold",
        "max-degradation",
    ]
    assert [round(miss.over_percent) for miss in verdict.misses] == [20, 260, 50, 38]
    assert "misses `p99_ms <= 5` with 18; misses `size_mb <= 20` with 30; 40 % below the best" in verdict.why


def test_a_difference_inside_its_interval_is_told_and_the_point_estimate_decides(
    popularity, plant, compared, verdict_of
):
    near = plant("ials:fp32", 0.099, 0.1, against_best=compared("sasrec@fp32", -0.003, 0.001))
    far = plant("ease:fp32", 0.097, 0.1, against_best=compared("sasrec@fp32", -0.007, 0.001))
    best = plant("sasrec:fp32", 0.100, 1, against_best=compared("sasrec@fp32", 0, 0))
    decision = decide([popularity, near, far, best], RULE)
    assert decision.winner == "ials:fp32"
    assert verdict_of(decision, "ials:fp32").why == (
        "good enough: 1.0 % below the best, no measurable difference (-0.0030 to +0.0010)"
    )
    assert verdict_of(decision, "ease:fp32").why == (
        "refused: 3 % below the best, no measurable difference (-0.0070 to +0.0010), 2 % is allowed"
    )


def test_of_equals_the_one_that_the_others_were_compared_with_is_the_best(popularity, plant, compared, verdict_of):
    to_fp32 = {"against_best": compared("sasrec@fp32", -0.003, 0.001)}
    equals = [plant(f"sasrec:{variant}", 0.1, 1, **to_fp32) for variant in ("fp16", "fp32", "int8-dynamic")]
    decision = decide([popularity, plant("ials:fp32", 0.099, 0.1, **to_fp32), *equals], RULE)
    assert verdict_of(decision, "sasrec:fp32").why == "good enough: the best"
    assert verdict_of(decision, "sasrec:fp16").why == "good enough: equal to the best"
    assert "no measurable difference" in verdict_of(decision, "ials:fp32").why


def test_an_interval_against_another_one_than_the_best_is_not_used(popularity, plant, compared, verdict_of):
    giant = plant("sasrec:fp32", 0.11, 9)
    near = plant("ials:fp32", 0.099, 0.1, against_best=compared("sasrec@fp32", -0.02, 0.01))
    decision = decide(
        [popularity, near, plant("ease:fp32", 0.1, 0.2), giant], Promotion(threshold=("p99_ms <= 5",))
    )
    assert verdict_of(decision, "ials:fp32").why == "good enough: 1.0 % below the best"
