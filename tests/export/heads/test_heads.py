"""Heads find what the exact graph finds, whoever else is asked for, and never fall short."""

import functools

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.encoding import PADDING
from contracts.sections import Settings
from export.graphs.graph import graph_of
from export.graphs.outline import inlined
from export.graphs.scoring import Scoring, scoring_of
from export.heads.blocks import make_blocks
from export.heads.int4 import int4_graph, int4_search
from export.heads.int8 import int8_graph, int8_search
from export.heads.ivf import ivf_graph, ivf_search, room_of
from export.heads.ivf_tables import Probing
from export.heads.probing import queries_of, rows_with_bias
from export.variants.rewriting import CannotBeMade
from models.untrained import untrained

ITEMS, LENGTH, WIDTH = 1000, 10, 16
MODELS = ("sasrec", "sasrec without popularity", "sasrec:jpq", "ials", "mean")
HEADS = ("ivf", "int4-rerank", "int8-rerank")
MIXED = ("sasrec", "sasrec:jpq")
"""Popularity is mixed into their scores, which int8-rerank cannot rank."""
Session = onnxruntime.InferenceSession


def histories(rows: int, seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    found = random.integers(ITEMS, size=(rows, LENGTH)).astype(np.int32)
    for row, length in enumerate(random.integers(1, LENGTH + 1, size=rows)):
        found[row, : LENGTH - length] = PADDING
    return found


def ivf_of(scoring: Scoring, probed: int) -> tuple[Session, int]:
    known = [[item for item in row if item != PADDING] for row in histories(200).tolist()]
    front = np.arange(2 * WIDTH) if scoring.popular is not None else np.empty(0, dtype=np.int64)
    blocks = make_blocks(rows_with_bias(scoring), queries_of(scoring, known), WIDTH, seed=1, front=front)
    probing = Probing(probed, 1.0, len(front) // WIDTH)
    return open_graph(ivf_graph(scoring, blocks, probing, opset=20)), room_of(blocks, probing)


def open_graph(outline) -> Session:
    return onnxruntime.InferenceSession(inlined(outline).SerializeToString())


def for_each(*heads: str) -> pytest.MarkDecorator:
    """Every model with every one of the heads that it can have."""
    pairs = [(name, head) for name in MODELS for head in heads if head != "int8-rerank" or name not in MIXED]
    return pytest.mark.parametrize(("of_rung", "head"), pairs, indirect=["of_rung"])


@pytest.fixture(scope="module")
def of_rung(request) -> dict[str, Session]:
    return sessions_of(request.param)


@functools.cache
def sessions_of(rung: str) -> dict[str, Session]:
    """The exact graph of a model and its heads; `ivf` looks at 12 of 62 blocks, `ivf, all` at every one."""
    name, _, without = rung.partition(" without ")
    model = untrained(name, ITEMS, Settings(), seed=1)
    if without:
        model.mix_in_popularity(np.ones(ITEMS, dtype=np.float32), 0)
    scoring = scoring_of(model, LENGTH, opset=20)
    heads = {
        "exact": onnxruntime.InferenceSession(graph_of(model, LENGTH, opset=20).SerializeToString()),
        "ivf": ivf_of(scoring, 12)[0],
        "ivf, all": ivf_of(scoring, 1000)[0],
        "int4-rerank": open_graph(int4_graph(scoring, opset=20)),
    }
    if rung not in MIXED:
        heads["int8-rerank"] = open_graph(int8_graph(scoring, opset=20))
    return heads


def ask(session: Session, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    return session.run(None, {"history": history, "excluded": excluded, "k": np.array([k])})


def nothing(rows: int) -> np.ndarray:
    return np.empty((rows, 0), dtype=np.int32)


@for_each("ivf, all", "int4-rerank", "int8-rerank")
def test_what_is_looked_at_whole_is_ranked_as_exactly_as_its_rows_are_kept(of_rung, head):
    history = histories(30)
    expected, scores = ask(of_rung["exact"], history, nothing(30), 10)
    found, own_scores = ask(of_rung[head], history, nothing(30), 10)
    shared = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(expected, found, strict=True)])
    assert shared >= 0.97
    np.testing.assert_allclose(own_scores, scores, atol=0.02 * np.ptp(scores))


@for_each("ivf, all", *HEADS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_an_answer_is_never_short_and_never_holds_what_is_excluded(of_rung, head, data):
    rows, k = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 300))
    wide = data.draw(st.integers(0, ITEMS - k))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    likely, _ = ask(of_rung[head], histories(rows), nothing(rows), ITEMS)  # the best: what hurts most to exclude
    excluded = likely[:, :wide].astype(np.int32)
    excluded[random.random(excluded.shape) < 0.1] = PADDING
    items, scores = ask(of_rung[head], histories(rows), excluded, k)
    assert np.isfinite(scores).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    for row, never in zip(items, excluded, strict=True):
        assert len(set(row)) == k
        assert not set(row) & set(never)
        assert min(row) >= 0 and max(row) < ITEMS


@for_each(*HEADS)
def test_where_nothing_is_left_the_rest_is_marked(of_rung, head):
    excluded = np.arange(ITEMS - 3, dtype=np.int32)[None, :]
    items, scores = ask(of_rung[head], histories(1), excluded, 10)
    assert np.isfinite(scores[0]).tolist() == [True] * 3 + [False] * 7
    assert set(items[0, :3]) == {ITEMS - 3, ITEMS - 2, ITEMS - 1}


@for_each(*HEADS)
def test_every_item_once_when_all_are_asked_for(of_rung, head):
    items, scores = ask(of_rung[head], histories(4), nothing(4), ITEMS)
    assert (np.sort(items, axis=1) == np.arange(ITEMS)).all()
    assert np.isfinite(scores).all()


@for_each(*HEADS)
def test_an_answer_depends_on_nobody_who_is_asked_for_at_the_same_time(of_rung, head):
    history, order = histories(16), np.random.default_rng(5).permutation(16)
    excluded = np.full((16, 40), PADDING, dtype=np.int32)
    excluded[::2, :30] = np.random.default_rng(6).integers(ITEMS, size=(8, 30))
    together, scores = ask(of_rung[head], history, excluded, 20)
    shuffled, _ = ask(of_rung[head], history[order], excluded[order], 20)
    assert (shuffled == together[order]).all()
    for row in range(16):
        own = excluded[row : row + 1, : 30 if row % 2 == 0 else 0]
        alone, own_scores = ask(of_rung[head], history[row : row + 1], own, 10)
        assert alone[0].tolist() == together[row, :10].tolist()
        np.testing.assert_allclose(own_scores[0], scores[row, :10], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MIXED)
def test_scores_with_popularity_mixed_in_are_none_for_whole_numbers(name):
    scoring = scoring_of(untrained(name, ITEMS, Settings(), seed=1), LENGTH, opset=20)
    with pytest.raises(CannotBeMade, match="popularity is mixed into every score"):
        int8_graph(scoring, opset=20)


def test_popular_items_are_found_in_whatever_block_they_would_lie():
    """Popularity is mixed in after the search: an item may be among the best for that alone."""
    model = untrained("sasrec", ITEMS, Settings(), seed=1)  # its most popular items are the first ones
    scoring = scoring_of(model, LENGTH, opset=20)
    assert scoring.popular is not None
    session, _ = ivf_of(scoring, 3)
    exact = onnxruntime.InferenceSession(graph_of(model, LENGTH, opset=20).SerializeToString())
    best, _ = ask(exact, histories(20), nothing(20), 10)
    found, _ = ask(session, histories(20), nothing(20), 10)
    popular = [set(row[row < 2 * WIDTH]) for row in best]
    assert sum(map(len, popular)) > 40
    assert all(own <= set(row) for own, row in zip(popular, found, strict=True))


def test_behind_the_encoder_a_query_finds_what_its_history_finds():
    scoring = scoring_of(untrained("ials", ITEMS, Settings(), seed=1), LENGTH, opset=20)
    history = histories(20)
    vectors = queries_of(scoring, [[item for item in row if item != PADDING] for row in history.tolist()])
    blocks = make_blocks(rows_with_bias(scoring), vectors, WIDTH, seed=1, front=np.empty(0, dtype=np.int64))
    probing = Probing(12, 1.0)
    pairs = [
        (ivf_graph(scoring, blocks, probing, opset=20), ivf_search(scoring, blocks, probing, opset=20)),
        (int4_graph(scoring, opset=20), int4_search(scoring, opset=20)),
        (int8_graph(scoring, opset=20), int8_search(scoring, opset=20)),
    ]
    for whole, search in pairs:
        expected, _ = ask(open_graph(whole), history, nothing(20), 10)
        given = {"query": vectors[:, :-1], "excluded": nothing(20), "k": np.array([10])}
        found, _ = open_graph(search).run(None, given)
        shared = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(expected, found, strict=True)])
        assert shared > 0.99  # the whole ivf graph makes its query of rounded rows


def test_blocks_of_a_table_too_large_to_copy_hold_every_item_once_and_neighbours_together():
    random = np.random.default_rng(4)
    centres = random.normal(size=(50, 8))
    cluster = random.integers(50, size=20_000)
    rows = (centres[cluster] + 0.01 * random.normal(size=(20_000, 8))).astype(np.float32)
    queries, front = random.normal(size=(100, 8)).astype(np.float32), np.arange(128)
    blocks = make_blocks(rows, queries, 64, seed=1, front=front)
    assert (np.sort(blocks.order) == np.arange(20_000)).all()
    assert (blocks.order[:128] == front).all()
    kinds = [len(set(cluster[blocks.order[first : first + 64]])) for first in range(128, 20_000, 64)]
    assert np.mean(kinds) < 2.5  # of 64 drawn at random about 36
    assert (make_blocks(rows, queries, 64, seed=1, front=front).order == blocks.order).all()
