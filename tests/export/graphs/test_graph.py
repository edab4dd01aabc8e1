"""The graphs answer as the models' arithmetic says, and never fall short."""

import numpy as np
import onnxruntime
import pytest

from contracts.encoding import PADDING
from contracts.sections import Settings
from export.graphs.graph import graph_of
from models.untrained import UNTRAINED, untrained

ITEMS, LENGTH = 40, 10


def session_of(rung: str) -> tuple[object, onnxruntime.InferenceSession]:
    model = untrained(rung, ITEMS, Settings(), seed=1)
    graph = graph_of(model, max_history=LENGTH, opset=20)
    return model, onnxruntime.InferenceSession(graph.SerializeToString())


def random_histories(rows: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    histories = rng.integers(ITEMS, size=(rows, LENGTH)).astype(np.int32)
    for row, length in enumerate(rng.integers(1, LENGTH + 1, size=rows)):
        histories[row, : LENGTH - length] = PADDING
    return histories


@pytest.mark.parametrize("rung", UNTRAINED)
class TestEveryRung:
    def test_the_graph_ranks_as_the_model_scores(self, rung):
        model, session = session_of(rung)
        histories = random_histories(20)
        nothing = np.empty((20, 0), dtype=np.int32)
        items, scores = session.run(None, {"history": histories, "excluded": nothing, "k": np.array([ITEMS])})
        expected = model.scores(histories)
        assert np.sort(items, axis=1).tolist() == [list(range(ITEMS))] * 20  # every item once, no padding
        np.testing.assert_allclose(scores, np.take_along_axis(expected, items, axis=1), rtol=1e-4, atol=1e-5)
        assert (np.diff(scores, axis=1) <= 0).all()

    def test_excluded_items_never_come_and_the_answer_stays_full(self, rung):
        _, session = session_of(rung)
        excluded = np.array([[*range(0, 30), PADDING]], dtype=np.int32)
        items, scores = session.run(
            None, {"history": random_histories(1), "excluded": excluded, "k": np.array([10])}
        )
        assert set(items[0]) == set(range(30, 40))
        assert np.isfinite(scores).all()

    def test_more_excluded_than_leaves_k_marks_the_rest_with_minus_infinity(self, rung):
        _, session = session_of(rung)
        excluded = np.arange(ITEMS - 3, dtype=np.int32)[None, :]
        _, scores = session.run(None, {"history": random_histories(1), "excluded": excluded, "k": np.array([10])})
        assert np.isfinite(scores[0]).tolist() == [True] * 3 + [False] * 7

    def test_a_row_answers_the_same_alone_and_in_a_batch(self, rung):
        _, session = session_of(rung)
        histories = random_histories(8)
        nothing = np.empty((8, 0), dtype=np.int32)
        together, _ = session.run(None, {"history": histories, "excluded": nothing, "k": np.array([5])})
        for row in range(8):
            alone, _ = session.run(
                None, {"history": histories[row : row + 1], "excluded": nothing[:1], "k": np.array([5])}
            )
            assert alone[0].tolist() == together[row].tolist()
