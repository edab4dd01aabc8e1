"""The paragraph says what won, what it beat, what it gave up, by how much, and why the others did not ship."""

import msgspec

from contracts.sections import Promotion
from export.measuring.evaluation import Estimate
from export.measuring.measured import Candidate
from export.promotion.decision import decide
from export.variants.attempts import Attempt

RULE = Promotion()


def test_a_winner_below_the_best_tells_what_it_beat_and_gave_up(popularity, plant, compared):
    best = plant("sasrec:fp32", 0.1, 0.53, size_mb=5.3)
    near = compared("sasrec@fp32", -0.003, 0.001)
    winner = plant("item-to-item:fp32", 0.099, 0.053, size_mb=0.21, against_best=near)
    assert decide([popularity, winner, best], RULE).reason == (
        "item-to-item:fp32 ships: the fastest of 2 good enough, with NDCG@10 0.0990 "
        "(95 % interval 0.0940 to 0.1040) at 0.053 ms per prediction (median, one thread) and 0.21 MB. "
        "It beats popularity (0.0500) by +0.0490, that is 98 % (95 % interval +0.0480 to +0.0500). "
        "It gives up 1.0 % against the best, sasrec:fp32 (0.1000), where 2 % is allowed: "
        "no measurable difference (-0.0030 to +0.0010); that one takes 10 times as long and 25 times the space."
    )


def test_a_difference_outside_its_interval_is_called_measurable(popularity, plant, compared):
    winner = plant("ease:fp32", 0.099, 0.1, against_best=compared("sasrec@fp32", -0.0015, -0.0005))
    reason = decide([popularity, winner, plant("sasrec:fp32", 0.1, 1)], RULE).reason
    assert "where 2 % is allowed: a measurable difference (-0.0015 to -0.0005);" in reason


def test_a_tie_in_speed_is_told_with_what_decided_it(popularity, plant):
    rivals = [plant("ease:fp32", 0.1, 0.1, size_mb=2), plant("ials:fp32", 0.1, 0.1), plant("sasrec:fp32", 0.1, 1)]
    assert (
        "ships: of 3 good enough the smallest of the 2 that are equally fast,"
        in decide([popularity, *rivals], RULE).reason
    )
    assert (
        "ships: the smallest of 2 good enough, which are equally fast,"
        in decide([popularity, *rivals[:2]], RULE).reason
    )


def test_a_cheaper_one_that_is_refused_is_named_with_its_price_and_why(popularity, plant):
    rivals = [
        popularity,
        plant("ials:fp32", 0.08, 0.01),
        plant("ease:fp32", 0.09, 0.1),
        plant("sasrec:fp32", 0.1, 1),
    ]
    told = "ease:fp32 would be cheaper at 0.1 ms and 1 MB, but is refused: 10 % below the best, 2 % is allowed."
    assert told in decide(rivals, RULE).reason


def test_variants_of_the_same_run_tell_why_they_do_not_ship(popularity, plant):
    run = [
        plant("sasrec:fp32", 0.1, 0.5, size_mb=8),
        plant("sasrec:fp16", 0.1, 0.5, size_mb=4),
        plant("sasrec:int8-dynamic", 0.1, 0.65, size_mb=2),
        plant("sasrec:int8-static", 0.09, 0.1, size_mb=2),
    ]
    reason = decide([popularity, *run], RULE).reason
    assert reason.startswith("sasrec:fp16 ships")
    assert reason.endswith(
        "Of the same run: fp32 refused: larger by 2.0x; int8-dynamic refused: slower on this machine by 1.3x; "
        "int8-static refused: 10 % below the best, 2 % is allowed."
    )


def test_variants_that_could_not_be_made_are_named_for_the_winners_run_only(popularity, plant):
    attempts = [
        Attempt("sasrec", "fp32", "made", "", 1.0, 0.0, "sasrec-fp32-0", "sasrec-run"),
        Attempt("sasrec", "fp16", "impossible", "nothing is saved.", None, None, None, "sasrec-run"),
        Attempt("sasrec", "int8-static", "failed", "overlap 0.81, at least 0.90", 0.81, 0.5, None, "sasrec-run"),
        Attempt("sasrec", "int8-dynamic", "failed", "too old to matter", 0.1, 0.5, None, "an-earlier-run"),
    ]
    reason = decide([popularity, plant("sasrec:fp32", 0.1)], RULE, attempts=attempts).reason
    told = "fp16 cannot be made (nothing is saved); int8-static failed parity (overlap 0.81, at least 0.90)."
    assert reason.endswith(f"Of the same run: {told}")


def test_a_compressed_winner_tells_what_compression_cost(popularity, plant, compared):
    def with_fp32(candidate, low, high):
        changed = msgspec.structs.replace(candidate.measured, against_fp32=compared("sasrec@fp32", low, high))
        return Candidate(candidate.artifact, changed)

    winner = plant("sasrec:fp16", 0.1, 0.1)
    same = decide([popularity, with_fp32(winner, -0.001, 0.002)], RULE).reason
    assert (
        "Against sasrec:fp32 it changes NDCG@10 by +0.0005 (-0.0010 to +0.0020): no measurable difference." in same
    )
    worse = decide([popularity, with_fp32(winner, -0.002, -0.001)], RULE).reason
    assert "by -0.0015 (-0.0020 to -0.0010): a measurable difference." in worse
    assert "Against" not in decide([popularity, winner], RULE).reason


def test_popularity_that_nothing_beats_says_so_with_the_next(popularity, plant):
    rivals = [popularity, plant("popularity:fp16", 0.05), plant("sasrec:fp32", 0.06, 1, gain=(-0.001, 0.021))]
    assert decide(rivals, RULE).reason == (
        "popularity:fp32 ships because nothing measured beats it with confidence: the next, sasrec:fp32, reaches "
        "NDCG@10 0.0600 against 0.0500 (95 % interval of the difference -0.0010 to +0.0210). "
        "It costs 0.01 ms per prediction (median, one thread) and 0.1 MB."
    )
    more = decide([popularity, plant("sasrec:fp32", 0.06, gain=(0.004, 0.016))], Promotion(min_improvement=10))
    assert "nothing measured beats it with confidence by more than 10 %: the next" in more.reason


def test_popularity_that_only_a_giant_beats_says_which_limit_kept_it_out(popularity, plant):
    reason = decide([popularity, plant("sasrec:fp32", 0.1, 9)], Promotion(threshold=("p99_ms <= 5",))).reason
    assert reason.startswith(
        "popularity:fp32 ships because nothing that beats it keeps the limits: the best of those"
    )
    assert "but misses `p99_ms <= 5` with 18." in reason


def test_popularity_alone_ships_and_says_that_it_was_alone(popularity):
    assert "there is no other figure to hold against it" in decide([popularity], RULE).reason


def test_when_popularity_misses_a_limit_too_nothing_ships_and_the_nearest_miss_is_named(popularity, plant):
    rivals = [popularity, plant("ease:fp32", 0.1, size_mb=0.5), plant("sasrec:fp32", 0.1, size_mb=9)]
    decision = decide(rivals, Promotion(threshold=("size_mb <= 0.09", "p99_ms <= 9")))
    assert decision.winner is None
    assert decision.reason == (
        "Nothing ships: nothing is good enough, and popularity:fp32 itself is refused: misses `size_mb <= 0.09` "
        "with 0.1. That is the nearest miss: 11.1 % off the bound. "
        "Relax `threshold` in [promotion], or train what keeps it."
    )


def test_the_nearest_miss_is_the_one_whose_worst_miss_is_smallest(popularity, plant):
    rule = Promotion(threshold=("NDCG@10 >= 0.11", "size_mb <= 1"))
    rivals = [
        popularity,
        plant("ease:fp32", 0.1, size_mb=1),  # 9 % below the first limit
        plant("sasrec:fp32", 0.109, size_mb=2),  # 1 % below the first, but 100 % above the second
    ]
    reason = decide(rivals, rule).reason
    assert (
        "The nearest miss is ease:fp32, which misses `NDCG@10 >= 0.11` with 0.1: 9.09 % off the bound." in reason
    )


def test_a_figure_exactly_at_a_strict_limit_misses_it_by_nothing(popularity):
    assert "exactly at the bound" in decide([popularity], Promotion(threshold=("size_mb < 0.1",))).reason


def test_a_miss_by_a_hair_does_not_look_like_the_bound(popularity, plant, verdict_of):
    near = plant("sasrec:fp32", 0.1, size_mb=20.000001)
    verdict = verdict_of(decide([popularity, near], Promotion(threshold=("size_mb <= 20",))), "sasrec:fp32")
    assert verdict.why == "refused: misses `size_mb <= 20` with 20.000001"


def test_asked_about_one_artifact_only_that_one_is_judged(popularity, plant):
    rivals = [
        popularity,
        plant("ease:fp32", 0.09, 0.1),
        plant("ials:fp32", 0.1, 0.1),
        plant("sasrec:fp32", 0.1, 1),
    ]
    good = decide(rivals, RULE, only=rivals[3].artifact)
    assert good.winner == "sasrec:fp32"  # though another one is cheaper
    assert good.reason.startswith("sasrec:fp32 ships: asked for by name and good enough, with")
    refused = decide(rivals, RULE, only=rivals[1].artifact)
    assert refused.winner is None
    assert refused.reason == "ease:fp32 ease@fp32 does not ship: refused: 10 % below the best, 2 % is allowed."
    stranger = decide(rivals, RULE, only=plant("mean:fp32", 0.1).artifact)
    assert (stranger.winner, "was not measured with the others" in stranger.reason) == (None, True)


def test_popularity_that_nothing_beats_may_ship_when_asked_for(popularity, plant):
    decision = decide([popularity, plant("sasrec:fp32", 0.06, gain=(-0.001, 0.021))], RULE, popularity.artifact)
    assert decision.winner == "popularity:fp32"


def test_a_decision_holds_all_it_rests_on(popularity, plant):
    decision = decide([popularity, plant("sasrec:fp32", 0.1)], Promotion(threshold=("p99_ms <= 5",)))
    written = msgspec.json.decode(msgspec.json.encode(decision))
    assert written["rule"]["threshold"] == ["p99_ms <= 5"]
    assert (written["machine"]["name"], written["run"]) == ("m", "run")
    assert [verdict["name"] for verdict in written["verdicts"]] == ["popularity:fp32", "sasrec:fp32"]


def test_what_repeats_bring_is_told_where_they_are_not_masked(popularity, plant):
    def under(policy, gain):
        winner = plant("item-to-item:fp32", 0.1)
        quality = msgspec.structs.replace(winner.measured.quality, seen=policy)
        return Candidate(
            winner.artifact, msgspec.structs.replace(winner.measured, quality=quality, policy_gain=gain)
        )

    bought_again = decide([popularity, under("first", Estimate(0.08, 0.07, 0.09))], RULE).reason
    assert "It puts what a user has seen already in front: that alone brings +0.0800" in bought_again
    assert "seen already" not in decide([popularity, under("mask", None)], RULE).reason
