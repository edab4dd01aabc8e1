"""The iALS graph folds in as the model's arithmetic does."""

import numpy as np
import onnxruntime
import pytest
from onnx import checker

from contracts.encoding import PADDING
from export.graphs.outline import inlined
from export.graphs.scoring import exact_body, scoring_of
from models.rungs.ials import Ials

ITEMS, FACTORS, LENGTH = 300, 16, 50
EMPTY = np.full((1, LENGTH), PADDING, dtype=np.int32)


@pytest.fixture(scope="module")
def model() -> Ials:
    factors = np.random.default_rng(1).normal(size=(ITEMS, FACTORS))
    root = np.linalg.cholesky(factors.T @ factors + np.eye(FACTORS))
    table = np.pad(np.linalg.solve(root, factors.T).T, ((0, 1), (0, 0))).astype(np.float32)
    popularity = (1 / np.arange(1, ITEMS + 1)).astype(np.float32)
    return Ials(table, alpha=30.0, decay=0.85, popularity=popularity, share=0.1)


@pytest.fixture(scope="module")
def graph_scores(model):
    """Encoded histories -> float32 [batch, items + 1], computed by onnxruntime."""
    graph = inlined(exact_body(scoring_of(model, LENGTH, opset=20), opset=20))
    checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return lambda history: session.run(None, {"history": history})[0]


def histories(rows: int) -> np.ndarray:
    """Of every length, with items that stand twice."""
    random = np.random.default_rng(2)
    history = random.integers(ITEMS // 10, size=(rows, LENGTH)).astype(np.int32)
    for row, length in enumerate(random.integers(1, LENGTH + 1, size=rows)):
        history[row, : LENGTH - length] = PADDING
    return history


def test_the_graph_scores_as_the_model_does(model, graph_scores):
    history = histories(64)
    np.testing.assert_allclose(graph_scores(history)[:, :-1], model.scores(history), atol=1e-4)


def test_an_empty_history_gets_the_popular_list_and_nothing_else(model, graph_scores):
    np.testing.assert_array_equal(graph_scores(EMPTY)[0, :-1], np.float32(model.share) * model.popularity)


def test_a_batch_of_one_and_an_empty_row_beside_others_stay_finite_and_alike(model, graph_scores):
    history = np.concatenate([histories(3), EMPTY])
    together = graph_scores(history)
    alone = np.concatenate([graph_scores(history[row : row + 1]) for row in range(4)])
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_single_item_leaves_nothing_after_the_first_step_and_the_rest_does_no_harm(model, graph_scores):
    """One row z: u = (1 + alpha) z / (1 + alpha z'z), at once and for good."""
    history = EMPTY.copy()
    history[0, -1] = 7
    z = model.item_table[7].astype(np.float64)
    user = (1 + model.alpha) * z / (1 + model.alpha * z @ z)
    expected = model.item_table[:-1] @ user + model.share * model.popularity
    np.testing.assert_allclose(graph_scores(history)[0, :-1], expected, atol=1e-4)
