"""How many blocks are looked at: enough to find what is asked for, and room for whoever asks at the same time."""

import numpy as np
import onnxruntime
import pytest

from contracts.encoding import PADDING
from contracts.sections import Settings
from export.graphs.outline import inlined
from export.graphs.scoring import scoring_of
from export.heads.ivf import ivf_graph, room_of
from export.heads.probing import plan_search, queries_of, rows_with_bias
from models.untrained import untrained

LENGTH, ROOM = 10, 1024


def searched(items: int, recall: float) -> tuple[onnxruntime.InferenceSession, int, np.ndarray]:
    """A head of random rows that finds so much of the best ten, its room, and some histories to ask it for."""
    scoring = scoring_of(untrained("mean", items, Settings(), seed=1), LENGTH, opset=20)
    histories = np.random.default_rng(2).integers(items, size=(40, LENGTH)).astype(np.int32)

    def best_of(encoded: np.ndarray) -> np.ndarray:
        return np.argsort(queries_of(scoring, encoded.tolist()) @ -rows_with_bias(scoring).T, axis=1)[:, :10]

    plan = plan_search(scoring, best_of, histories.tolist(), histories.tolist(), recall, seed=1)
    graph = inlined(ivf_graph(scoring, plan.blocks, plan.probing, opset=20))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session, room_of(plan.blocks, plan.probing), histories


def ask(session: onnxruntime.InferenceSession, history: np.ndarray, excluded: int, k: int) -> np.ndarray:
    """Items for histories beside somebody who excludes so many."""
    width = np.full((len(history), excluded), PADDING, dtype=np.int32)
    return session.run(["items"], {"history": history, "excluded": width, "k": np.array([k])})[0]


def test_a_head_that_finds_enough_in_few_blocks_looks_at_more_so_that_few_are_asked_alone():
    session, room, histories = searched(3000, recall=0.05)
    assert room == ROOM
    alone = ask(session, histories, excluded=0, k=10)
    assert (ask(session, histories, excluded=room - 10, k=10) == alone).all()
    assert (ask(session, histories, excluded=2 * room, k=10) != alone).any(), "more blocks find more"


def test_a_head_that_has_to_look_at_most_blocks_has_more_room():
    _, room, _ = searched(3000, recall=1.0)
    assert room > 2 * ROOM


@pytest.mark.parametrize("items", [10, 64, 700])
def test_a_catalog_smaller_than_the_room_is_looked_at_whole(items):
    session, room, histories = searched(items, recall=0.05)
    assert room >= ROOM
    found = ask(session, histories, excluded=0, k=items)
    assert (np.sort(found, axis=1) == np.arange(items)).all()
    assert (ask(session, histories, excluded=3000, k=items)[:, :10] == found[:, :10]).all()
