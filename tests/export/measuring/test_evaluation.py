"""Evaluation through the predictor agrees with slow, hand-written arithmetic over the full catalog."""

import math
from itertools import pairwise

import numpy as np
import pytest

from contracts.artifact import Artifact
from contracts.encoding import encode_excluded, encode_histories
from export.measuring.evaluation import answer, evaluate, evaluate_cold
from models.splits.questions import EVERY_PREFIX, NEXT_ITEM, Questions, holdout_questions
from service.predictor import OnnxPredictor

ITEMS = 60
NOWHERE = ITEMS
"""Code of an item outside the catalog: the 61st id."""


def ids_of(artifact: Artifact) -> list[str]:
    return [*artifact.catalog.item_ids, "nowhere"]


def asked(histories: list[list[int]], targets: list[list[int]], protocol: str = NEXT_ITEM) -> Questions:
    as_codes = [[np.array(codes, dtype=np.int32) for codes in lists] for lists in (histories, targets)]
    return Questions(protocol, *as_codes, groups=np.arange(len(histories), dtype=np.int32))


def slow_rank(scores: dict[int, float], removed: set[int], target: int) -> int | None:
    """Count by hand: everything that scores at least as much stands in front."""
    if target in removed or target not in scores:
        return None
    left = {item: score for item, score in scores.items() if item not in removed}
    return sum(score >= left[target] for score in left.values())


def slow_scores(predictor: OnnxPredictor, history: list[int]) -> dict[int, float]:
    items, scores = predictor.predict(
        encode_histories([history], predictor.max_history), encode_excluded([()]), predictor.items
    )
    return dict(zip(items[0].tolist(), scores[0].tolist(), strict=True))


@pytest.mark.parametrize("rung", ["popularity", "item-to-item", "sasrec"])
@pytest.mark.parametrize("policy", ["mask", "keep", "drop-last"])
def test_every_metric_equals_the_slow_count(rung, policy, sealed, split):
    predictor = OnnxPredictor(sealed[rung])
    everyone = holdout_questions(split)
    questions = Questions(NEXT_ITEM, everyone.histories[:60], everyone.targets[:60], everyone.groups[:60])
    found = answer(predictor, questions, split.item_ids, policy).per_question
    for row, (history, target) in enumerate(zip(questions.histories, questions.targets, strict=True)):
        history = [int(item) for item in history if item < split.catalog_size]
        removed = {"mask": set(history), "keep": set(), "drop-last": set(history[-1:])}[policy]
        rank = slow_rank(slow_scores(predictor, history), removed, int(target[0]))
        expected = {
            "NDCG@10": 1 / math.log2(rank + 1) if rank and rank <= 10 else 0,
            "HitRate@10": float(bool(rank) and rank <= 10),
            "MRR@20": 1 / rank if rank and rank <= 20 else 0,
            "HitRate@20": float(bool(rank) and rank <= 20),
            "Recall@20": float(bool(rank) and rank <= 20),
        }
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected)


def test_all_remaining_items_of_a_session_count_in_every_prefix(sealed):
    artifact = sealed["popularity"]
    best, second, third = artifact.popular[:3].tolist()
    last = int(artifact.popular[-1])
    questions = asked([[last]], [[second, third, NOWHERE]], EVERY_PREFIX)
    found = answer(OnnxPredictor(artifact), questions, ids_of(artifact), "drop-last")
    per_question = {name: values[0] for name, values in found.per_question.items()}
    assert found.recommended[0, :3].tolist() == [best, second, third]
    assert per_question["MRR@20"] == 1 / 2
    assert per_question["HitRate@20"] == 1
    assert per_question["Recall@20"] == pytest.approx(
        2 / 3
    )  # what is outside the catalog stays in the denominator
    gain = 1 / math.log2(3) + 1 / math.log2(4)
    assert per_question["NDCG@20"] == pytest.approx(gain / (1 / math.log2(2) + gain))


def test_a_seen_target_is_a_miss_under_mask_and_a_hit_under_keep(sealed):
    artifact = sealed["popularity"]
    best = int(artifact.popular[0])
    questions = asked([[best]], [[best]])
    predictor = OnnxPredictor(artifact)
    hits = {
        policy: answer(predictor, questions, ids_of(artifact), policy).per_question["HitRate@10"][0]
        for policy in ("mask", "drop-last", "keep", "first")
    }
    assert hits == {"mask": 0, "drop-last": 0, "keep": 1, "first": 1}


def test_targets_outside_the_catalog_are_counted_and_missed(sealed):
    artifact = sealed["popularity"]
    best = int(artifact.popular[0])
    questions = asked([[1], [2], [3]], [[NOWHERE], [best], [NOWHERE]])
    answers = answer(OnnxPredictor(artifact), questions, ids_of(artifact), "keep")
    found = evaluate(artifact, answers, None, ids_of(artifact), "time-split", 100)
    assert (found.evaluations, found.unknown_targets) == (3, 2)
    assert found.metrics["HitRate@10"].value == pytest.approx(1 / 3)


def test_a_history_outside_the_catalog_gets_the_popular_list_as_in_the_service(sealed):
    artifact = sealed["sasrec"]
    questions = asked([[NOWHERE], [0]], [[1], [1]])
    answers = answer(OnnxPredictor(artifact), questions, ids_of(artifact), "mask")
    depth = answers.recommended.shape[1]
    assert answers.recommended[0].tolist() == artifact.popular[:depth].tolist()
    assert answers.recommended[1].tolist() != artifact.popular[:depth].tolist()


def test_cold_users_are_judged_by_the_popular_list_in_a_slice_of_their_own(sealed):
    artifact = sealed["sasrec"]
    cold = asked([[], [], []], [[int(artifact.popular[0])], [int(artifact.popular[1])], [NOWHERE]])
    found = evaluate_cold(artifact, cold, ids_of(artifact), 100)
    assert found.evaluations == 3
    assert found.metrics["NDCG@10"].value == pytest.approx((1 + 1 / math.log2(3) + 0) / 3)
    assert evaluate_cold(artifact, asked([], []), ids_of(artifact), 100) is None


def test_cold_users_stay_outside_the_headline(sealed):
    artifact = sealed["popularity"]
    warm = answer(OnnxPredictor(artifact), asked([[0]], [[NOWHERE]]), ids_of(artifact), "mask")
    cold = asked([[]], [[int(artifact.popular[0])]])
    found = evaluate(artifact, warm, cold, ids_of(artifact), "time-split", 100)
    assert found.metrics["HitRate@10"].value == 0
    assert found.slices["cold users"].metrics["HitRate@10"].value == 1


def test_slices_hold_short_histories_and_tail_items(sealed):
    artifact = sealed["popularity"]
    head, tail = int(artifact.popular[0]), int(artifact.popular[-1])
    questions = asked([[1, 2, 3, 4], [1, 2, 3, 4, 5]], [[head], [tail]])
    answers = answer(OnnxPredictor(artifact), questions, ids_of(artifact), "keep")
    slices = evaluate(artifact, answers, None, ids_of(artifact), "time-split", 100).slices
    short = slices["users with fewer than 5 interactions"]
    rare = slices["targets outside the 20% most popular items"]
    assert (short.evaluations, short.metrics["HitRate@10"].value) == (1, 1)
    assert (rare.evaluations, rare.metrics["HitRate@10"].value) == (1, 0)


def test_coverage_is_the_share_of_items_in_any_top_10(sealed):
    artifact = sealed["popularity"]
    answers = answer(OnnxPredictor(artifact), asked([[0], [1]], [[2], [3]]), ids_of(artifact), "keep")
    found = evaluate(artifact, answers, None, ids_of(artifact), "time-split", 100)
    assert found.metrics["Coverage@10"].value == pytest.approx(10 / ITEMS)


def test_a_paired_difference_to_itself_is_nothing(sealed, split):
    questions = holdout_questions(split)
    one, other = (
        answer(OnnxPredictor(sealed[rung]), questions, split.item_ids, "mask") for rung in ("sasrec", "popularity")
    )
    assert one.paired(one, "NDCG@10", 100).high == 0
    forth, back = one.paired(other, "NDCG@10", 100), other.paired(one, "NDCG@10", 100)
    assert forth.value == pytest.approx(-back.value)
    assert all(low <= high for low, high in pairwise((forth.low, forth.value, forth.high)))
