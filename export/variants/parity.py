"""Parity: a graph answers real histories as it should, within a stated tolerance.

The fp32 graph is held against the trained model: the same scores up to rounding, `SCORE_TOLERANCE`. A
compressed variant is held against the fp32 graph of its run: `TOLERANCES` says how much of the top 10 it must
share, and how far any score of any item may stray, relative to the spread of the scores for that history.
"""

from typing import NamedTuple

import numpy as np

from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import VerdictIsNo
from models.ladder import Model
from service.predictor import OnnxPredictor

TOP = 10
SCORE_TOLERANCE = 1e-4
"""Largest difference of a score, relative to the spread of the model's scores for that history."""

_LEAST_SPREAD = 0.1
"""Of the largest score: where all scores are nearly one, or the catalog is one item, rounding is no fault."""

_SCORES_AT_ONCE = 4_000_000
"""Bounds the memory of a comparison that looks at every score of a large catalog."""

_SCORES_COMPARED, _HISTORIES_AT_LEAST = 1 << 26, 16
"""And its time: a graph sorts a million scores in a tenth of a second. 256 histories up to 262,144 items, 67 at a
million, from 4 million items on 16."""


class Tolerance(NamedTuple):
    """What a compressed variant may differ by: `overlap` of the top 10 at least, scores by this at most."""

    overlap: float
    score_difference: float


TOLERANCES = {
    "fp16": Tolerance(0.99, 0.01),
    "int8-dynamic": Tolerance(0.90, 0.1),
    "int8-static": Tolerance(0.90, 0.1),
}


class Closeness(NamedTuple):
    """How close two graphs are: mean share of the top 10 in common, and the largest difference of a score
    relative to the spread of the scores for that history."""

    overlap: float
    score_difference: float

    def shortfall(self, allowed: Tolerance) -> str:
        """In what way this is not close enough; empty where it is. A figure that is no number never is."""
        if not self.overlap >= allowed.overlap:
            shared = f"shares {self.overlap:.3f} of the top {TOP} with fp32"
            return f"{shared}, at least {allowed.overlap:.2f} is asked"
        if not self.score_difference <= allowed.score_difference:
            off = f"a score is off by {self.score_difference:.2g} of the spread"
            return f"{off}, at most {allowed.score_difference:g} is allowed"
        return ""


def compare(predictor: OnnxPredictor, fp32: OnnxPredictor, histories: list[list[int]]) -> Closeness:
    """How close `predictor` is to `fp32` on `histories`, over every item, nothing excluded. Of a large catalog
    evenly fewer histories are asked."""
    count = max(_HISTORIES_AT_LEAST, _SCORES_COMPARED // fp32.items)
    histories = histories[:: max(1, -(-len(histories) // count))]
    overlaps, differences = [], []
    rows = max(1, _SCORES_AT_ONCE // fp32.items)
    for start in range(0, len(histories), rows):
        encoded = encode_histories(histories[start : start + rows], fp32.max_history)
        found, found_top = _scores_of_all(predictor, encoded)
        expected, expected_top = _scores_of_all(fp32, encoded)
        differences.extend(np.abs(found - expected).max(axis=1) / _spread(expected))
        shared = (found_top[:, :, None] == expected_top[:, None, :]).sum(axis=(1, 2))
        overlaps.extend(shared / expected_top.shape[1])
    return Closeness(float(np.mean(overlaps)), float(np.max(differences)))


def _scores_of_all(predictor: OnnxPredictor, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores float32 [batch, items] in the order of the items, and the top items [batch, TOP at most]."""
    items, scores = predictor.predict(encoded, encode_excluded([()] * len(encoded)), predictor.items)
    by_item = np.empty_like(scores)
    np.put_along_axis(by_item, items, scores, axis=1)
    return by_item, items[:, :TOP]


def check_parity(predictor: OnnxPredictor, model: Model, histories: list[list[int]]) -> float:
    """Compare the top 10 for real histories, nothing excluded; return the largest relative difference.

    Scores must agree within `SCORE_TOLERANCE`; the items too, except where the model itself scores them
    so close that rounding decides. Raises `VerdictIsNo` naming the worst history.
    """
    rows = max(1, _SCORES_AT_ONCE // predictor.items)
    pieces = [histories[start : start + rows] for start in range(0, len(histories), rows)]
    return max(_check_piece(predictor, model, piece) for piece in pieces)


def _check_piece(predictor: OnnxPredictor, model: Model, histories: list[list[int]]) -> float:
    encoded = encode_histories(histories, predictor.max_history)
    items, scores = predictor.predict(encoded, encode_excluded([()] * len(histories)), TOP)
    expected = model.scores(encoded)
    falling, count = -expected, items.shape[1]
    falling.partition(count - 1, axis=1)  # to sort a large catalog takes ten times as long
    best = -np.sort(falling[:, :count], axis=1)
    of_the_same_item = np.abs(np.take_along_axis(expected, items, axis=1) - scores)
    of_the_same_place = np.abs(best - scores)
    worst = np.max(np.maximum(of_the_same_item, of_the_same_place), axis=1) / _spread(expected)
    if not worst.max() <= SCORE_TOLERANCE:  # a score that is no number agrees with nothing
        row = int(worst.argmax())
        raise VerdictIsNo(
            f"parity failed for {predictor.artifact.name}: for the history {histories[row]} the graph answers "
            f"{items[row].tolist()} with scores {scores[row].tolist()}, the trained model scores the same items "
            f"{expected[row, items[row]].tolist()} (difference {worst.max():.2g} of the spread, allowed "
            f"{SCORE_TOLERANCE:.0e}). The export is wrong: nothing was sealed."
        )
    return float(worst.max())


def _spread(scores: np.ndarray) -> np.ndarray:
    """How far the scores of each row lie apart, float32 [rows], above 0."""
    least = _LEAST_SPREAD * np.abs(scores).max(axis=1)
    return np.maximum(np.ptp(scores, axis=1), np.maximum(least, 1e-12).astype(np.float32))
