"""Parity holds for what was trained, and fails loudly for anything else."""

import numpy as np
import pytest

from contracts.faults import VerdictIsNo
from export.exporting import export_run
from export.parity import SCORE_TOLERANCE, check_parity
from models.popularity import Popularity
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
