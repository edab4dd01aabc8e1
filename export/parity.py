"""Parity: the graph answers real histories as the trained model does, within a stated tolerance."""

import numpy as np

from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import VerdictIsNo
from models.ladder import Model
from service.predictor import OnnxPredictor

TOP = 10
SCORE_TOLERANCE = 1e-4
"""Largest difference of a score, relative to the spread of the model's scores for that history."""


def check_parity(predictor: OnnxPredictor, model: Model, histories: list[list[int]]) -> float:
    """Compare the top 10 for real histories, nothing excluded; return the largest relative difference.

    Scores must agree within `SCORE_TOLERANCE`; the items too, except where the model itself scores them
    so close that rounding decides. Raises `VerdictIsNo` naming the worst history.
    """
    encoded = encode_histories(histories, predictor.max_history)
    items, scores = predictor.predict(encoded, encode_excluded([()] * len(histories)), TOP)
    expected = model.scores(encoded)
    spread = np.maximum(np.ptp(expected, axis=1, keepdims=True), np.float32(1e-12))
    best = -np.sort(-expected, axis=1)[:, : items.shape[1]]
    of_the_same_item = np.abs(np.take_along_axis(expected, items, axis=1) - scores)
    of_the_same_place = np.abs(best - scores)
    worst = np.max(np.maximum(of_the_same_item, of_the_same_place) / spread, axis=1)
    if not worst.max() <= SCORE_TOLERANCE:  # a score that is no number agrees with nothing
        row = int(worst.argmax())
        raise VerdictIsNo(
            f"parity failed for {predictor.artifact.name}: for the history {histories[row]} the graph answers "
            f"{items[row].tolist()} with scores {scores[row].tolist()}, the trained model scores the same items "
            f"{expected[row, items[row]].tolist()} (difference {worst.max():.2g} of the spread, allowed "
            f"{SCORE_TOLERANCE:.0e}). The export is wrong: nothing was sealed."
        )
    return float(worst.max())
