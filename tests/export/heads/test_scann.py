"""The head with an index: finds what the exact graph finds, alone as in company, and never falls short."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.artifact import (
    LEAVES_OF_INDEX,
    MODEL,
    QUERY_MODEL,
    SEARCHED,
    Artifact,
    Search,
    open_artifact,
)
from contracts.encoding import PADDING, encode_excluded, encode_histories
from contracts.faults import UsageFault
from contracts.graph import HISTORY, QUERY
from contracts.sections import Paths, Settings
from export.exporting import export_untrained
from export.graphs.graph import outline_of
from export.graphs.outline import Outline, write_outline
from export.graphs.scoring import scoring_of
from export.heads.making import Workshop
from export.heads.scann import scann_graph
from export.heads.scann_index import plan_index
from models.untrained import untrained
from service.candidates import Candidates
from service.predictor import OnnxPredictor
from service.ranking import Query, rank

ITEMS = 3000
DICE = np.random.default_rng(7)
HISTORIES = [DICE.integers(ITEMS, size=length).tolist() for length in DICE.integers(1, 20, size=60)]


def exported(artifacts: Path, variant: str, items: int = ITEMS) -> Artifact:
    return export_untrained("ials", items, Settings(paths=Paths(artifacts=artifacts)), variant=variant)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Artifact:
    return exported(tmp_path_factory.mktemp("sealed"), "scann")


def drafted(folder: Path, sealed: Artifact, outline: Outline, **of_manifest: object) -> Artifact:
    """An artifact like `sealed` of another graph, before it is sealed."""
    write_outline(outline, folder / MODEL)
    return Artifact(folder, msgspec.structs.replace(sealed.manifest, files={}, **of_manifest), "unsealed")


@pytest.fixture(scope="module", params=["plain", "popularity mixed in", "and counted by a sample"])
def pair(request, sealed, tmp_path_factory) -> tuple[OnnxPredictor, OnnxPredictor]:
    """A head, and the exact graph of the same model."""
    scoring = scoring_of(untrained("ials", ITEMS, Settings(), seed=1), sealed.manifest.max_history, opset=20)
    if request.param != "plain":
        shares = np.random.default_rng(2).pareto(1, size=ITEMS + 1) + 1e-3
        scoring = dataclasses.replace(scoring, popular=(shares / shares.sum()).astype(np.float32))

    def opened(outline: Outline, **of_manifest: object) -> OnnxPredictor:
        return OnnxPredictor(drafted(tmp_path_factory.mktemp("draft"), sealed, outline, **of_manifest))

    exact = opened(outline_of(None, sealed.manifest.max_history, 20, scoring), room=None, search=None)
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "and counted by a sample":
            patched.setattr("export.heads.scann._SAMPLE", ITEMS // 4)
        head = Workshop(scoring, [], HISTORIES).make("scann", exact, Settings())
    return opened(head.graph, **head.of_manifest), exact


@pytest.fixture(scope="module")
def head(pair) -> OnnxPredictor:
    return pair[0]


def ask(predictor: OnnxPredictor, histories: list, excluded: list, k: int) -> tuple[np.ndarray, np.ndarray]:
    encoded = encode_histories(histories, predictor.max_history)
    return predictor.predict(encoded, encode_excluded(excluded), k)


def test_the_index_is_sealed_with_the_graphs_and_answers_its_probes(sealed):
    artifact = open_artifact(sealed.path)
    assert artifact.manifest.files.keys() >= {QUERY_MODEL, *SEARCHED}
    assert artifact.manifest.search.leaves > 1
    assert (np.diff(np.load(artifact.path / LEAVES_OF_INDEX)) >= 0).all()  # read quickly
    OnnxPredictor(artifact).replay_probes()


def test_it_finds_what_the_exact_graph_finds_with_the_same_scores(pair):
    head, exact = pair
    found, scores = ask(head, HISTORIES, [()] * 60, 10)
    best, expected = ask(exact, HISTORIES, [()] * 60, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, best, strict=True)]) >= 0.97
    same = found == best
    np.testing.assert_allclose(scores[same], expected[same], atol=0.02 * np.ptp(expected))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_an_answer_is_never_short_and_never_holds_what_is_excluded(head, data):
    k = data.draw(st.integers(1, 300))
    wide = data.draw(st.integers(0, ITEMS - k))
    some = HISTORIES[: data.draw(st.integers(1, 4))]
    best, _ = ask(head, some, [()] * len(some), ITEMS)
    excluded = [row[:wide].tolist() for row in best]  # what hurts most
    items, scores = ask(head, some, excluded, k)
    assert np.isfinite(scores).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    for row, never in zip(items.tolist(), excluded, strict=True):
        assert len(set(row)) == k
        assert not set(row) & set(never)
        assert min(row) >= 0 and max(row) < ITEMS


def test_every_item_once_when_all_are_asked_for(head):
    items, scores = ask(head, HISTORIES[:2], [(), ()], ITEMS)
    assert (np.sort(items, axis=1) == np.arange(ITEMS)).all()
    assert np.isfinite(scores).all()


def test_where_nothing_is_left_the_rest_is_marked(head):
    items, scores = ask(head, HISTORIES[:1], [range(ITEMS - 3)], 10)
    assert np.isfinite(scores[0]).tolist() == [True] * 3 + [False] * 7
    assert set(items[0, :3]) == {ITEMS - 3, ITEMS - 2, ITEMS - 1}


@pytest.mark.parametrize("wide", [0, 40, 500])
def test_an_answer_depends_on_nobody_who_is_asked_for_at_the_same_time(head, wide):
    """Also where one excludes more than the others, and more than the room."""
    dice = np.random.default_rng(wide)
    queries = [
        Query(history, 10, dice.integers(ITEMS, size=dice.integers(wide + 1)).tolist()) for history in HISTORIES
    ]
    together = rank(head, queries)
    order = dice.permutation(len(queries))
    shuffled = rank(head, [queries[place] for place in order])
    assert [ranking.items for ranking in shuffled] == [together[place].items for place in order]
    for query, ranking in zip(queries, together, strict=True):
        (alone,) = rank(head, [query])
        assert alone.items == ranking.items
        np.testing.assert_allclose(alone.scores, ranking.scores, rtol=1e-5, atol=1e-6)


@pytest.fixture
def index_over(sealed, tmp_path) -> Callable[..., Candidates]:
    """An index over these rows, one for each item and that of none, of which a question looks at `leaves`."""

    def make(change_rows: Callable[[np.ndarray], np.ndarray], leaves: int) -> Candidates:
        plain = scoring_of(untrained("ials", ITEMS, Settings(), seed=1), sealed.manifest.max_history, opset=20)
        scoring = dataclasses.replace(plain, rows=change_rows(plain.rows.copy()), bias=None)
        planned = plan_index(scoring, lambda encoded: np.zeros((len(encoded), 10), dtype=np.int64), HISTORIES, 1.0)
        search = Search(leaves=leaves, candidates=320, dimension=scoring.dimension)
        return Candidates(
            drafted(tmp_path, sealed, scann_graph(scoring, planned, opset=20), search=search, room=220)
        )

    return make


@pytest.mark.parametrize("name", ["ials", "sasrec", "student", "mean"])
def test_the_query_is_the_same_to_the_last_bit_whoever_else_is_asked_for(tmp_path, name):
    """An index is searched by a few levels of each number, so the smallest difference may cost a candidate."""
    sealed = export_untrained(name, 400, Settings(paths=Paths(artifacts=tmp_path)), variant="scann")
    one_thread = onnxruntime.SessionOptions()
    one_thread.intra_op_num_threads = 1
    histories = encode_histories(
        [[item % 400 for item in items] for items in HISTORIES], sealed.manifest.max_history
    )
    encoder = onnxruntime.InferenceSession(sealed.query_path, one_thread, providers=["CPUExecutionProvider"])
    together = encoder.run((QUERY,), {HISTORY: histories})[0]
    for size in (1, 2, 3, 16):
        pieces = [histories[begin : begin + size] for begin in range(0, len(histories), size)]
        found = np.concatenate([encoder.run((QUERY,), {HISTORY: piece})[0] for piece in pieces])
        assert found.tobytes() == together.tobytes()
    assert encoder.run((QUERY,), {HISTORY: histories[:0]})[0].shape == (0, together.shape[1])


def test_candidates_are_the_same_to_the_last_one_whoever_else_is_asked_for(index_over):
    """Every row ten times: who is the last among equals must not be settled by the company."""

    def ten_of_each(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([np.repeat(rows[: ITEMS // 10], 10, axis=0), rows[-1:]])

    index = index_over(ten_of_each, leaves=40)
    queries = np.random.default_rng(9).normal(size=(400, 64)).astype(np.float32)
    together = index.find(queries, 10)
    alone = np.concatenate([index.find(queries[row : row + 1], 10) for row in range(len(queries))])
    assert (together == alone).all()


def test_a_few_items_far_from_all_others_are_candidates_of_everybody_and_none_is_one_twice(index_over):
    def with_three_long_ones(rows: np.ndarray) -> np.ndarray:
        rows[[5, 700, 2999]] *= 50
        return rows

    index = index_over(with_three_long_ones, leaves=1)
    for found in index.find(np.random.default_rng(9).normal(size=(100, 64)).astype(np.float32), 10):
        items = found[found < ITEMS].tolist()
        assert {5, 700, 2999} <= set(items)
        assert len(set(items)) == len(items) >= 220


@pytest.mark.parametrize("items", [16, 50, 400])
def test_a_small_catalog_has_one_too(tmp_path, items):
    predictor = OnnxPredictor(exported(tmp_path, "scann", items))
    found, scores = ask(predictor, [[0, 1], []], [(), range(items - 1)], items)
    assert sorted(found[0].tolist()) == list(range(items))
    assert np.isfinite(scores).sum(axis=1).tolist() == [items, 1]
    assert found[1, 0] == items - 1


def test_fewer_items_than_half_a_byte_tells_apart_have_none(tmp_path):
    with pytest.raises(UsageFault, match="15 items are too few"):
        exported(tmp_path, "scann", 15)


def test_a_history_of_nothing_is_answered(head):
    items, scores = ask(head, [[]], [()], 10)
    assert len(set(items[0].tolist()) - {PADDING}) == 10
    assert np.isfinite(scores).all()
