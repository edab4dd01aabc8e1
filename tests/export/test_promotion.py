"""Each rule decides as written, on planted figures."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from contracts.artifact import CATALOG, MODEL, POPULAR, PROBES, SCHEMA_VERSION, Artifact, Manifest, SealedFile
from contracts.faults import ArtifactFault, UsageFault
from contracts.pointer import move_pointer, read_pointer
from contracts.sections import Promotion
from export.evaluation import Estimate, Evaluation
from export.footprint import Footprint
from export.latency import Latency
from export.measuring import Candidate, Comparison, Machine, Measured
from export.promotion import decide, promote, read_record, rollback

RULE = Promotion(min_improvement=0.0, max_degradation=2.0)


def candidate(
    folder: Path,
    rung: str,
    ndcg: float,
    p50_ms: float,
    *,
    gain: tuple[float, float] = (0.01, 0.03),
    spread_ms: float = 0.0,
    size_bytes: int = 1_000_000,
) -> Candidate:
    """A measured artifact; `gain` is the interval of its difference to popularity."""
    contents = {MODEL: bytes(size_bytes), CATALOG: b"{}", POPULAR: b"", PROBES: b"[]"}
    manifest = Manifest(
        SCHEMA_VERSION, rung, "fp32", "run", 100, 50, "mask", 20, [], [], None,
        {name: SealedFile(hashlib.sha256(found).hexdigest(), len(found)) for name, found in contents.items()},
    )  # fmt: skip
    place = folder / f"{rung}-fp32-0"
    place.mkdir(parents=True)
    for name, content in contents.items():
        (place / name).write_bytes(content)
    (place / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    quality = Evaluation("time-split", "mask", 100, 0, {"NDCG@10": Estimate(ndcg, ndcg, ndcg)}, {})
    against = Comparison("popularity:fp32", "0", Estimate(sum(gain) / 2, *gain))
    latency = Latency(1, p50_ms, 2 * p50_ms, p50_ms - spread_ms, p50_ms + spread_ms)
    measured = Measured(
        "run", "0", Machine("m", "cpu", 2, 1), "NDCG@10", quality, against, against, [latency], size_bytes,
        Footprint(10, 10),
    )  # fmt: skip
    return Candidate(Artifact(place, manifest, f"{rung}-version"), measured)


def test_of_two_that_are_good_enough_the_faster_one_wins(tmp_path):
    decision = decide(
        [
            candidate(tmp_path, "popularity", 0.050, 0.01),
            candidate(tmp_path, "item-to-item", 0.099, 0.10),
            candidate(tmp_path, "sasrec", 0.100, 1.00),
        ],
        RULE,
    )
    assert decision.winner == "item-to-item:fp32"
    assert "gives up 1.0 % against the best, sasrec:fp32" in decision.reason
    assert "10.0 times as long" in decision.reason


def test_a_cheaper_one_that_gives_up_too_much_is_refused(tmp_path):
    decision = decide(
        [
            candidate(tmp_path, "popularity", 0.050, 0.01),
            candidate(tmp_path, "item-to-item", 0.097, 0.10),
            candidate(tmp_path, "sasrec", 0.100, 1.00),
        ],
        RULE,
    )
    assert decision.winner == "sasrec:fp32"
    refused = next(v for v in decision.verdicts if v.name == "item-to-item:fp32")
    assert refused.why == "refused: 3.0 % below the best, 2 % is allowed"


def test_a_gain_that_may_be_chance_is_no_improvement_and_popularity_ships(tmp_path):
    decision = decide(
        [
            candidate(tmp_path, "popularity", 0.050, 0.01),
            candidate(tmp_path, "sasrec", 0.060, 1.00, gain=(-0.001, 0.021)),
        ],
        RULE,
    )
    assert decision.winner == "popularity:fp32"
    assert "nothing measured beats it with confidence" in decision.reason


def test_min_improvement_is_percent_of_the_baseline(tmp_path):
    rivals = [
        candidate(tmp_path, "popularity", 0.050, 0.01),
        candidate(tmp_path, "sasrec", 0.060, 1.00, gain=(0.004, 0.016)),
    ]
    assert decide(rivals, Promotion(min_improvement=7.9)).winner == "sasrec:fp32"  # 0.00395 is asked for
    assert decide(rivals, Promotion(min_improvement=8.0)).winner == "popularity:fp32"  # 0.00400


def test_popularity_within_the_allowed_loss_is_itself_good_enough_and_cheapest(tmp_path):
    decision = decide(
        [
            candidate(tmp_path, "popularity", 0.099, 0.01),
            candidate(tmp_path, "sasrec", 0.100, 1.00, gain=(0.0005, 0.0015)),
        ],
        RULE,
    )
    assert decision.winner == "popularity:fp32"
    assert "ships: the cheapest of 2 good enough" in decision.reason


def test_latencies_inside_the_spread_are_a_tie_and_the_smaller_wins(tmp_path):
    decision = decide(
        [
            candidate(tmp_path, "popularity", 0.050, 0.01),
            candidate(tmp_path, "item-to-item", 0.100, 0.50, spread_ms=0.1, size_bytes=9_000_000),
            candidate(tmp_path, "sasrec", 0.100, 0.55, spread_ms=0.1, size_bytes=3_000_000),
        ],
        RULE,
    )
    assert decision.winner == "sasrec:fp32"


def test_asked_about_one_artifact_only_that_one_is_judged(tmp_path):
    rivals = [
        candidate(tmp_path, "popularity", 0.050, 0.01),
        candidate(tmp_path, "item-to-item", 0.090, 0.10),
        candidate(tmp_path, "sasrec", 0.100, 1.00),
    ]
    assert decide(rivals, RULE, rivals[2].artifact).winner == "sasrec:fp32"
    assert decide(rivals, RULE, rivals[1].artifact).winner is None


def test_promotions_are_recorded_and_rollback_goes_back_one_by_one(tmp_path):
    artifacts = [candidate(tmp_path, rung, 0.1, 1).artifact for rung in ("popularity", "item-to-item", "sasrec")]
    bundle = tmp_path / "bundle"
    for artifact in (*artifacts, artifacts[-1]):  # the last one twice, as after a kill: still one step back
        promote(tmp_path, bundle, artifact, "because")
    names = [artifact.path.name for artifact in artifacts]
    assert [rollback(tmp_path, bundle).artifact for _ in range(2)] == [names[1], names[0]]
    assert read_pointer(tmp_path) == artifacts[0].path
    assert read_pointer(bundle).name == names[0]
    actions = [entry.action for entry in read_record(tmp_path)]
    assert actions == ["promoted"] * 4 + ["rolled back"] * 2


def test_a_forced_promotion_is_recorded_as_such(tmp_path):
    artifact = candidate(tmp_path, "popularity", 0.1, 1).artifact
    entry = promote(tmp_path, tmp_path / "bundle", artifact, "by hand", forced=True)
    assert (entry.action, entry.previous) == ("forced", None)


def test_rollback_without_a_promotion_before_says_so(tmp_path):
    promote(tmp_path, tmp_path / "bundle", candidate(tmp_path, "popularity", 0.1, 1).artifact, "the only one")
    with pytest.raises(UsageFault, match="nothing to roll back to"):
        rollback(tmp_path, tmp_path / "bundle")


def test_one_that_may_be_best_by_chance_does_not_hold_back_one_that_is_surely_better(tmp_path):
    decision = decide(
        [
            candidate(tmp_path, "popularity", 0.050, 0.01, gain=(0, 0)),
            candidate(tmp_path, "item-to-item", 0.070, 0.10, gain=(0.015, 0.025)),
            candidate(tmp_path, "sasrec", 0.080, 1.00, gain=(-0.001, 0.061)),
        ],
        RULE,
    )
    assert decision.winner == "item-to-item:fp32"
    verdicts = {verdict.name: verdict for verdict in decision.verdicts}
    assert verdicts["sasrec:fp32"].why.startswith("refused: gains -0.0010 to +0.0610 over popularity")


def test_popularity_that_nothing_beats_may_ship_whether_asked_for_or_not(tmp_path):
    rivals = [
        candidate(tmp_path, "popularity", 0.050, 0.01, gain=(0, 0)),
        candidate(tmp_path, "sasrec", 0.060, 1.00, gain=(-0.001, 0.021)),
    ]
    for decision in decide(rivals, RULE), decide(rivals, RULE, rivals[0].artifact):
        assert decision.winner == "popularity:fp32"
        assert {verdict.name: verdict.good_enough for verdict in decision.verdicts} == {
            "popularity:fp32": True,
            "sasrec:fp32": False,
        }


def test_an_improvement_below_the_asked_one_is_told_as_such(tmp_path):
    rivals = [
        candidate(tmp_path, "popularity", 0.050, 0.01, gain=(0, 0)),
        candidate(tmp_path, "sasrec", 0.060, 1.00, gain=(0.004, 0.016)),
    ]
    reason = decide(rivals, Promotion(min_improvement=10.0)).reason
    assert "nothing measured beats it with confidence by more than 10 %" in reason


def test_one_that_is_refused_or_was_not_measured_says_which(tmp_path):
    rivals = [
        candidate(tmp_path, "popularity", 0.050, 0.01, gain=(0, 0)),
        candidate(tmp_path, "item-to-item", 0.090, 0.10),
        candidate(tmp_path, "sasrec", 0.100, 1.00),
    ]
    assert "does not ship: refused: 10.0 % below the best" in decide(rivals, RULE, rivals[1].artifact).reason
    stranger = candidate(tmp_path, "mean", 0.1, 1).artifact
    assert "was not measured with the others" in decide(rivals, RULE, stranger).reason
    asked = decide(rivals, RULE, rivals[2].artifact).reason
    assert asked.startswith("sasrec:fp32 ships: good enough, with")


def test_the_smallest_batch_decides_whatever_the_order_of_measuring(tmp_path):
    quick, slow = candidate(tmp_path, "item-to-item", 0.1, 0.1), candidate(tmp_path, "sasrec", 0.1, 0.2)
    rivals = [candidate(tmp_path, "popularity", 0.05, 0.01, gain=(0, 0))]
    for one, batch_ms in (quick, 9.0), (slow, 1.0):
        batch = Latency(32, batch_ms, batch_ms, batch_ms, batch_ms)
        measured = msgspec.structs.replace(one.measured, latency=[batch, *one.measured.latency])
        rivals.append(Candidate(one.artifact, measured))
    decision = decide(rivals, RULE)
    assert decision.winner == "item-to-item:fp32"
    assert "0.100 ms per prediction" in decision.reason


def test_rolling_back_goes_one_promotion_back_each_time_and_then_says_that_there_is_none(tmp_path):
    a, b, c = (candidate(tmp_path / "artifacts", rung, 0.1, 1).artifact for rung in ("a", "b", "c"))
    artifacts, bundle = tmp_path / "artifacts", tmp_path / "bundle"
    for artifact in (a, b, a, c, c):  # promoting what serves already changes nothing
        promote(artifacts, bundle, artifact, "because")
    for expected in (a, b, a):
        assert rollback(artifacts, bundle).artifact == expected.path.name
        assert read_pointer(artifacts) == expected.path
    with pytest.raises(UsageFault, match="nothing to roll back to"):
        rollback(artifacts, bundle)
    promote(artifacts, bundle, b, "again")
    assert rollback(artifacts, bundle).artifact == a.path.name


def test_a_promotion_that_was_recorded_but_never_happened_is_not_gone_back_to(tmp_path):
    a, b, c = (candidate(tmp_path / "artifacts", rung, 0.1, 1).artifact for rung in ("a", "b", "c"))
    artifacts, bundle = tmp_path / "artifacts", tmp_path / "bundle"
    promote(artifacts, bundle, a, "first")
    promote(artifacts, bundle, b, "killed before the pointer moved")
    move_pointer(artifacts, a.path)
    promote(artifacts, bundle, c, "next")
    assert rollback(artifacts, bundle).artifact == a.path.name


def test_an_artifact_outside_is_refused_and_not_recorded(tmp_path):
    outside = candidate(tmp_path / "elsewhere", "sasrec", 0.1, 1).artifact
    (tmp_path / "artifacts").mkdir()
    with pytest.raises(ArtifactFault, match="is not under"):
        promote(tmp_path / "artifacts", tmp_path / "bundle", outside, "by mistake", forced=True)
    assert read_record(tmp_path / "artifacts") == []
    assert not (tmp_path / "bundle").exists()


def test_popularity_that_comes_first_ships_and_says_that_nothing_beats_it(tmp_path):
    rivals = [
        candidate(tmp_path, "popularity", 0.060, 0.01, gain=(0, 0)),
        candidate(tmp_path, "sasrec", 0.050, 1.00, gain=(-0.02, 0.00)),
    ]
    reason = decide(rivals, RULE).reason
    assert reason.startswith(
        "popularity:fp32 ships because nothing measured beats it with confidence: the next, sasrec"
    )
