"""The graph of nearest sessions answers as the model's arithmetic says."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from contracts.encoding import PADDING
from contracts.rung_sections import VmisKnn as Choices
from export.graphs.graph import dense_outline_of, sparse_outline_of
from export.graphs.outline import inlined
from export.graphs.vmis_knn import VMIS_KNN, vmis_tables
from models.rungs.vmis_knn import VmisKnn, fit_vmis_knn
from models.splits.interactions import Interactions

ITEMS, LENGTH = 40, 10


def model_of(rows: int, **choices) -> VmisKnn:
    """Learned from `rows` random interactions of 60 users."""
    rng = np.random.default_rng(1)
    users, items = rng.integers(60, size=rows).astype(np.int32), rng.integers(ITEMS, size=rows).astype(np.int32)
    log = Interactions(users, items, np.arange(rows), users, np.ones(rows, np.float32), has_sessions=False)
    popularity = (1 / np.arange(1, ITEMS + 1)).astype(np.float32)
    chosen = {"neighbours": 12, "decay": 0.6, "popularity": 0.3}
    return fit_vmis_knn(log, 60, popularity, Choices(**choices), chosen)


def run(model: VmisKnn, histories: np.ndarray, length: int = LENGTH) -> np.ndarray:
    text = VMIS_KNN.replace("MAX_HISTORY", str(length))
    graph = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]>{text}')
    tables = vmis_tables(model, length)
    graph.graph.initializer.extend(numpy_helper.from_array(table, name) for name, table in tables.items())
    onnx.checker.check_model(graph, full_check=True)
    (scores,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"history": histories})
    return scores


def random_histories(rows: int, length: int = LENGTH) -> np.ndarray:
    rng = np.random.default_rng(3)
    histories = rng.integers(ITEMS, size=(rows, length)).astype(np.int32)
    for row, known in enumerate(rng.integers(0, length + 1, size=rows)):
        histories[row, : length - known] = PADDING
    return histories


@pytest.mark.parametrize("rows", [400, 4000], ids=["padded postings", "full postings"])
def test_graph_scores_as_the_model_does(rows):
    model, histories = model_of(rows, sessions_per_item=15), random_histories(60)
    assert (histories[:, -1] == PADDING).any(), "no empty history among them"
    scores = run(model, histories)
    assert scores.shape == (60, ITEMS + 1)
    np.testing.assert_allclose(scores[:, :ITEMS], model.scores(histories), rtol=1e-5, atol=1e-5)


def test_row_answers_the_same_alone_and_in_a_batch():
    model, histories = model_of(400), random_histories(8)
    together = run(model, histories)
    for row in range(8):
        np.testing.assert_array_equal(run(model, histories[row : row + 1])[0], together[row])


def test_history_shorter_than_what_counts_is_used_whole():
    model, histories = model_of(400, newest=7), random_histories(20, length=3)
    scores = run(model, histories, length=3)
    np.testing.assert_allclose(scores[:, :ITEMS], model.scores(histories), rtol=1e-5, atol=1e-5)


def test_fewer_sessions_than_neighbours_all_vote():
    model, histories = model_of(400, sessions=5), random_histories(20)
    assert len(model.sessions) == 5 < model.neighbours
    scores = run(model, histories)
    np.testing.assert_allclose(scores[:, :ITEMS], model.scores(histories), rtol=1e-5, atol=1e-5)


def test_log_without_sessions_gives_the_popular_order():
    model = model_of(1)
    scores = run(model, random_histories(5))[:, :ITEMS]
    assert np.argsort(-scores, axis=1).tolist() == [list(range(ITEMS))] * 5


@pytest.mark.parametrize("rows", [1, 400, 4000])
def test_votes_alone_give_the_answer_of_all_scores(rows):
    model, histories = model_of(rows, sessions_per_item=15), random_histories(60)
    asked = {"history": histories, "excluded": histories[:, 3:], "k": np.array([ITEMS])}
    dense, sparse = (
        inlined(dense_outline_of(model, LENGTH, opset=20)),
        inlined(sparse_outline_of(model, LENGTH, opset=20, always=True)),
    )
    expected, found = (
        onnxruntime.InferenceSession(graph.SerializeToString()).run(None, asked) for graph in (dense, sparse)
    )
    assert np.sort(found[0], axis=1).tolist() == [list(range(ITEMS))] * 60
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-5)
    by_item = np.take_along_axis(model.scores(histories), found[0], axis=1)
    may_answer = np.isfinite(found[1])
    np.testing.assert_allclose(found[1][may_answer], by_item[may_answer], rtol=1e-5, atol=1e-5)
