"""Parity holds for what was trained, and fails loudly for anything else."""

from types import SimpleNamespace

import numpy as np
import pytest

from contracts.faults import VerdictIsNo
from export.exporting import export_run
from export.variants import parity
from export.variants.attempts import read_attempts
from export.variants.parity import SCORE_TOLERANCE, check_parity
from models.rungs.popularity import Popularity
from models.runs import Run
from service.predictor import OnnxPredictor

HISTORIES = [[1, 2, 3], [4], list(range(20))]


class Skewed(Popularity):
    """Its graph is that of its weights; what it says itself is something else."""

    def __init__(self, weights: np.ndarray, skew: float) -> None:
        super().__init__(weights)
        self.skew = skew

    def scores(self, history: np.ndarray) -> np.ndarray:
        skewed = super().scores(history)
        skewed[:, skewed.argmax(axis=1)] += self.skew
        return skewed


class Fixed:
    """A model and a predictor in one: row i is the answer to whoever did item i last."""

    max_history = 3
    artifact = SimpleNamespace(name="fixed:fp32")

    def __init__(self, by_last: list[list[float]]) -> None:
        self.by_last = by_last
        self.items = len(by_last[0])

    def scores(self, history: np.ndarray) -> np.ndarray:
        return np.float32(self.by_last)[history[:, -1]]

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = self.scores(history)
        items = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return items, np.take_along_axis(scores, items, axis=1)


class RunOf(Run):
    """A run whose model is exchanged."""

    def model(self) -> Popularity:
        return Skewed(self.popularity(), skew=0.01)


@pytest.mark.parametrize("rung", ["popularity", "item-to-item", "sasrec"])
def test_what_was_exported_scores_as_what_was_trained(rung, sealed, run_of):
    worst = check_parity(OnnxPredictor(sealed[rung]), run_of(rung).model(), HISTORIES)
    assert 0 <= worst <= SCORE_TOLERANCE


@pytest.mark.parametrize("skew", [0.01, -0.01, np.nan])
def test_a_score_that_differs_is_refused_and_the_history_is_named(skew, sealed, run_of):
    model = Skewed(run_of("popularity").popularity(), skew)
    with pytest.raises(VerdictIsNo, match=r"parity failed for popularity:fp32: for the history \[1, 2, 3\]"):
        check_parity(OnnxPredictor(sealed["popularity"]), model, HISTORIES)


def test_a_difference_of_rounding_is_allowed(sealed, run_of):
    model = Skewed(run_of("popularity").popularity(), skew=0.1 * SCORE_TOLERANCE)
    assert check_parity(OnnxPredictor(sealed["popularity"]), model, HISTORIES) > 0


def test_an_export_without_parity_seals_nothing(elsewhere, run_of):
    run = run_of("popularity")
    with pytest.raises(VerdictIsNo, match="nothing was sealed"):
        export_run(RunOf(run.folder, run.description), elsewhere)
    left = [path.name for path in elsewhere.paths.artifacts.iterdir() if path.is_dir()]
    assert left == []


def test_an_export_without_parity_is_on_record_as_failed_in_all_that_was_asked_for(elsewhere, run_of):
    run = run_of("popularity")
    with pytest.raises(VerdictIsNo):
        export_run(RunOf(run.folder, run.description), elsewhere, variants=["fp32", "fp16"])
    attempts = read_attempts(elsewhere.paths.artifacts)
    assert [(a.variant, a.status, a.artifact) for a in attempts] == [
        ("fp32", "failed", None),
        ("fp16", "failed", None),
    ]
    assert {a.why for a in attempts} == {"the fp32 graph and the trained model disagree"}


@pytest.mark.parametrize(("error", "agrees"), [(2e-7, True), (1e-4, False)])
def test_rounding_of_scores_that_hardly_differ_is_no_fault(error, agrees):
    """Like a catalog of one item, whose scores have no spread at all."""
    graph, model = Fixed([[1 + error]]), Fixed([[1.0]])
    if agrees:
        assert check_parity(graph, model, [[0]]) > 0
    else:
        with pytest.raises(VerdictIsNo):
            check_parity(graph, model, [[0]])


def test_every_history_is_compared_however_few_fit_at_once(monkeypatch):
    monkeypatch.setattr(parity, "_SCORES_AT_ONCE", 4)
    model = Fixed([[1.0, 0.5], [0.2, 0.7]])
    histories = [[0], [0], [0], [0], [1]]
    assert check_parity(model, Fixed(model.by_last), histories) == 0
    wrong = Fixed([[1.0, 0.5], [0.2, 0.8]])
    with pytest.raises(VerdictIsNo, match=r"for the history \[1\]"):
        check_parity(wrong, Fixed([[1.0, 0.5], [0.2, 0.7]]), histories)


def test_of_a_large_catalog_evenly_fewer_histories_are_compared(monkeypatch):
    asked = []

    class Noting(Fixed):
        def predict(self, history, excluded, k):
            asked.extend(history[:, -1].tolist())
            return super().predict(history, excluded, k)

    graph = Noting([[4.0, 3.0, 2.0, 1.0]] * 40)
    monkeypatch.setattr(parity, "_SCORES_COMPARED", 4 * 20)
    assert parity.compare(graph, graph, [[item] for item in range(40)]).overlap == 1.0
    assert sorted(asked) == sorted([*range(0, 40, 2)] * 2)  # of both graphs
