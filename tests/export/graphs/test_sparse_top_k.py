"""The graph that looks at a few items answers as the one that gives every item a score, bit for bit."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contracts.encoding import PADDING
from export.graphs.graph import dense_outline_of, graph_of, sparse_outline_of
from export.graphs.outline import inlined
from export.graphs.sparse_top_k import LEAST_ITEMS, in_three_bytes, is_sparse_quicker
from export.variants.fp16 import to_fp16
from export.variants.int8 import to_int8_dynamic
from export.variants.rewriting import tables_of
from models.rungs.ease import Ease
from models.rungs.item_to_item import ItemToItem
from models.rungs.popularity import Popularity

ITEMS, LENGTH, NEIGHBOURS = 700, 10, 8
FEW_VALUES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
"""So few that many items tie, and sums of them as well."""

Question = dict[str, np.ndarray]


def answer(graph: onnx.ModelProto, question: Question) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(None, question)


def histories(draw, rows: int, length: int, items: int) -> np.ndarray:
    """PADDING on the left, and items that stand twice."""
    found = np.full((rows, length), PADDING, dtype=np.int32)
    for row in found:
        known = draw(st.lists(st.integers(0, items - 1), max_size=length))
        row[length - len(known) :] = known
    return found


@st.composite
def counted(draw) -> ItemToItem | Popularity:
    items = draw(st.integers(1, 25))
    popularity = draw(arrays(np.float32, items, elements=FEW_VALUES))
    if draw(st.integers(0, 4)) == 0:
        return Popularity(popularity)
    shape = items, draw(st.integers(1, 5))
    neighbours = draw(arrays(np.int32, shape, elements=st.integers(PADDING, items - 1)))
    similarities = draw(arrays(np.float32, shape, elements=FEW_VALUES))
    similarities[neighbours == PADDING] = 0
    decay, share = draw(st.sampled_from([0.3, 1.0])), draw(st.sampled_from([1e-6, 0.7]))
    return ItemToItem(neighbours, similarities, decay, popularity, share)


@st.composite
def asked(draw) -> tuple[ItemToItem | Popularity, int, Question]:
    """A model, the length of its histories, and a question."""
    model = draw(counted())
    items = model.scores(np.full((1, 1), PADDING, dtype=np.int32)).shape[1]
    rows, length, wide = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(0, items + 2))
    excluded = draw(arrays(np.int32, (rows, wide), elements=st.integers(PADDING, items - 1)))
    k = np.array([draw(st.integers(1, items))])
    return model, length, {"history": histories(draw, rows, length, items), "excluded": excluded, "k": k}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(asked())
def test_few_items_looked_at_give_the_answer_of_all(question):
    model, length, asked = question
    expected = answer(inlined(dense_outline_of(model, length, opset=20)), asked)
    found = answer(inlined(sparse_outline_of(model, length, opset=20, always=True)), asked)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.fixture(scope="module")
def model() -> ItemToItem:
    random = np.random.default_rng(1)
    near = random.integers(ITEMS, size=(ITEMS, NEIGHBOURS), dtype=np.int32)
    similarities = np.sort(random.random(near.shape, dtype=np.float32))[:, ::-1].copy()
    return ItemToItem(near, similarities, 0.85, (1 / np.arange(1, ITEMS + 1)).astype(np.float32), 0.01)


@pytest.fixture(scope="module")
def sparse(model) -> onnx.ModelProto:
    return inlined(sparse_outline_of(model, LENGTH, opset=20, always=True))


def question(rows: int = 40, k: int = 10) -> Question:
    history = np.random.default_rng(2).integers(ITEMS, size=(rows, LENGTH)).astype(np.int32)
    return {"history": history, "excluded": history, "k": np.array([k])}


def test_the_whole_catalog_can_be_asked_for(model, sparse):
    asked = question(rows=5, k=ITEMS)
    expected, found = answer(inlined(dense_outline_of(model, LENGTH, opset=20)), asked), answer(sparse, asked)
    assert (found[0] == expected[0]).all()
    assert (found[1] == expected[1]).all()


def test_a_row_answers_the_same_alone_beside_longer_histories_and_beside_more_excluded(sparse):
    asked = question(rows=8)
    for row in range(8):
        asked["history"][row, :row] = PADDING
        asked["excluded"][row, row:] = PADDING
    together = answer(sparse, asked)
    for row in range(8):
        excluded = asked["excluded"][row : row + 1, :row]
        alone = answer(sparse, {"history": asked["history"][row : row + 1], "excluded": excluded, "k": asked["k"]})
        assert [part[0].tobytes() for part in alone] == [part[row].tobytes() for part in together]


@pytest.mark.parametrize("compress", [to_fp16, to_int8_dynamic])
def test_a_compressed_graph_shares_the_answers_and_looks_up_every_table_row_by_row(compress, sparse):
    small, asked = compress(sparse), question()
    expected, found = answer(sparse, asked), answer(small, asked)
    shared = [len(set(a) & set(b)) for a, b in zip(expected[0].tolist(), found[0].tolist(), strict=True)]
    assert np.mean(shared) >= 9.5
    np.testing.assert_allclose(found[1], expected[1], rtol=0.02)
    for name in tables_of(small):
        readers = [node for node in small.graph.node if name in node.input]
        assert {(node.op_type, node.input[0]) for node in readers} == {("Gather", name)}  # nothing widens it whole


def test_a_neighbour_costs_four_bytes_and_an_item_eleven_more(model, sparse):
    small = to_int8_dynamic(sparse)
    stored = sum(len(tensor.raw_data) for tensor in small.graph.initializer)
    assert stored <= (ITEMS + 1) * (4 * NEIGHBOURS + 11) + 200


@pytest.mark.parametrize("largest", [255, 65_535, 2**24 - 1, 2**24, 2**31 - 1])
def test_indices_of_any_size_come_together_again(largest):
    indices = np.array([[0, 1, largest - 1, largest]], dtype=np.int32)
    stored = in_three_bytes("some", indices)
    np.testing.assert_array_equal(stored["some_low"] + stored["some_high"].astype(np.int32) * 65_536, indices)
    assert stored["some_high"].dtype == (np.uint8 if largest < 2**24 else np.uint16)


def is_sparse(graph: onnx.ModelProto) -> bool:
    return "CumSum" in {node.op_type for node in graph.graph.node}


def one_neighbour(items: int, similarity: float = 0.5) -> ItemToItem:
    column = np.zeros((items, 1), dtype=np.int32)
    return ItemToItem(column, np.full_like(column, similarity, np.float32), 0.5, np.ones(items, np.float32), 0.1)


def test_catalog_size_beside_the_votes_of_a_history_decides_which_graph_there_is():
    assert not is_sparse_quicker(LEAST_ITEMS, votes=1)
    assert not is_sparse(graph_of(one_neighbour(LEAST_ITEMS), max_history=1, opset=20))
    large = one_neighbour(LEAST_ITEMS + 150)
    assert is_sparse(graph_of(large, max_history=1, opset=20))
    assert is_sparse(graph_of(Ease(large), max_history=1, opset=20))
    assert not is_sparse(graph_of(large, max_history=2, opset=20))
    assert is_sparse(graph_of(Popularity(np.ones(LEAST_ITEMS, np.float32)), max_history=50, opset=20))


def test_a_vote_against_an_item_needs_the_score_of_every_item():
    assert not is_sparse(graph_of(one_neighbour(LEAST_ITEMS * 2, similarity=-0.5), max_history=1, opset=20))
