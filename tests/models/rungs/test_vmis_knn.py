import numpy as np
import pytest

from contracts.rung_sections import VmisKnn as Choices
from contracts.sections import Paths, Settings
from models.logs.sample import write_sample
from models.rungs.popularity import Popularity, decayed_weights
from models.rungs.vmis_knn import VmisKnn, choose_settings, fit_vmis_knn, index_sessions, vmis_knn_refusal
from models.splits.interactions import Interactions
from models.splits.questions import validation_questions
from models.splits.split import split_log
from models.validating import Validation

CHOSEN = {"neighbours": 100, "decay": 0.6, "popularity": 0.0}


def indexed(log: Interactions, items: int, **choices) -> tuple[list, list, np.ndarray]:
    postings, sessions, idf = index_sessions(log, items, Choices(**choices))
    return postings.tolist(), sessions.tolist(), idf


def test_sessions_are_numbered_newest_first_and_hold_their_newest_item_first(interactions_of):
    log = interactions_of((0, 0, 1), (1, 2, 2), (0, 1, 3), (1, 0, 4))
    postings, sessions, _ = indexed(log, items=4)
    assert sessions == [[0, 2], [1, 0]]
    assert postings == [[0, 1], [1, -1], [0, -1], [-1, -1]]


def test_log_with_sessions_is_cut_by_session_and_one_without_by_user(interactions_of):
    rows = [(0, 0, 1, 7), (0, 1, 2, 7), (0, 2, 3, 8), (0, 3, 4, 8)]
    assert indexed(interactions_of(*rows), items=4)[1] == [[3, 2], [1, 0]]
    assert indexed(interactions_of(*[row[:3] for row in rows]), items=4)[1] == [[3, 2, 1, 0]]


def test_item_that_a_session_repeats_stands_once_where_it_was_newest(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2), (0, 0, 3), (0, 0, 4))
    assert indexed(log, items=2)[1] == [[0, 1]]


def test_session_of_one_item_is_left_out(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 0, 4))
    assert indexed(log, items=2)[:2] == ([[0], [0]], [[1, 0]])


def test_limits_keep_the_newest_sessions_and_items(interactions_of):
    log = interactions_of(*[(user, item, 3 * user + item) for user in range(4) for item in range(3)])
    postings, sessions, _ = indexed(log, items=3, sessions=3, session_length=2, sessions_per_item=2)
    assert sessions == [[2, 1]] * 3
    assert postings == [[-1, -1], [0, 1], [0, 1]]


def test_rare_items_weigh_more_and_an_item_of_every_session_nothing(interactions_of):
    log = interactions_of((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 2, 4), (2, 0, 5), (2, 2, 6))
    expected = [0.0, np.log(4 / 2) / np.log(4), np.log(4 / 3) / np.log(4), 1.0]
    np.testing.assert_allclose(indexed(log, items=4)[2], expected, rtol=1e-6)


def test_log_without_useful_sessions_leaves_the_popular_order(interactions_of):
    popularity = np.array([0.5, 1.0], dtype=np.float32)
    model = fit_vmis_knn(interactions_of((0, 0, 1), (1, 1, 2)), 2, popularity, Choices(), CHOSEN)
    assert np.argsort(-model.scores(np.array([[0]], dtype=np.int32))[0]).tolist() == [1, 0]


@pytest.fixture
def model() -> VmisKnn:
    postings = np.array([[0, 1], [1, 2], [2, -1], [0, -1]], dtype=np.int32)
    sessions = np.array([[0, 3], [0, 1], [1, 2]], dtype=np.int32)
    idf = np.array([1.0, 1.0, 0.5, 0.25], dtype=np.float32)
    popularity = np.array([1, 0.5, 0.25, 0.125], dtype=np.float32)
    return VmisKnn((postings, sessions, idf), popularity, newest=2, decay=0.5, neighbours=3, share=1e-6)


def test_sessions_vote_with_the_decayed_weights_of_the_items_they_share(model):
    scores = model.scores(np.array([[-1, 1, 0]], dtype=np.int32))[0]
    first, second, third = 1.0, 1.0 + 0.5, 0.5  # by what they share: item 0; items 0 and 1; item 1
    expected = [first + second, second + third, 0.5 * third, 0.25 * first]
    np.testing.assert_allclose(scores, expected, atol=2e-6)


def test_items_older_than_the_newest_that_count_do_nothing(model):
    longer, shorter = np.array([[2, 1, 0]], dtype=np.int32), np.array([[-1, 1, 0]], dtype=np.int32)
    np.testing.assert_array_equal(model.scores(longer), model.scores(shorter))


def test_only_the_best_sessions_vote_and_of_equals_the_newest(model):
    model.neighbours = 1
    scores = model.scores(np.array([[-1, 0], [-1, 1]], dtype=np.int32))
    np.testing.assert_allclose(scores[0], [1, 0, 0, 0.25], atol=2e-6)  # session 0 before session 1
    np.testing.assert_allclose(scores[1], [1, 1, 0, 0], atol=2e-6)  # session 1 before session 2


def test_empty_history_gets_the_popular_order(model):
    scores = model.scores(np.full((1, 3), -1, dtype=np.int32))[0]
    assert np.argsort(-scores).tolist() == [0, 1, 2, 3]


def test_arrays_give_the_same_model_back(model):
    history = np.array([[0, 1, 2], [-1, -1, 3]], dtype=np.int32)
    again = VmisKnn.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(again.scores(history), model.scores(history))


def test_same_log_gives_the_same_arrays(interactions_of):
    random = np.random.default_rng(5)
    log = interactions_of(*[(u, int(i), t) for t, (u, i) in enumerate(random.integers(20, size=(300, 2)))])
    one, other = index_sessions(log, 20, Choices()), index_sessions(log, 20, Choices())
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_search_prefers_the_newest_item_where_only_it_tells(interactions_of):
    """Pairs (0, 1), (2, 3), ... belong together; what stands before a pair is noise."""
    random = np.random.default_rng(0)
    rows, time = [], 0
    for user in range(200):
        pair = 2 * int(random.integers(5))
        for item in (pair, pair + 1):
            rows.append((user, item, time := time + 1))
    histories = [np.array([2 * int(random.integers(5)), 2 * p]) for p in range(5) for _ in range(8)]
    targets = [2 * p + 1 for p in range(5) for _ in range(8)]
    validation = Validation(histories, targets, items=10, max_history=5)
    choices = Choices(neighbours=(50,), decays=(1.0, 0.3), popularity=(0.0,))
    chosen = choose_settings(interactions_of(*rows), 200, np.zeros(10, np.float32), choices, validation)
    assert chosen["decay"] == 0.3


@pytest.mark.parametrize(("signal", "least", "most"), [(0.9, 1.5, 10.0), (0.0, 0.0, 1.1)])
def test_sessions_teach_where_there_is_a_signal_and_only_there(tmp_path, signal, least, most):
    write_sample(tmp_path, users=300, items=100, interactions=6000, seed=2, signal=signal, sessions=True)
    split = split_log(tmp_path, Settings(paths=Paths(runs=tmp_path / "runs")))
    questions = validation_questions(split)
    validation = Validation(questions.histories, questions.next_items(), split.catalog_size, max_history=10)
    popularity = decayed_weights(split.train, split.catalog_size, 365.0, has_clock=True)
    model = fit_vmis_knn(split.train, len(split.user_ids), popularity, Choices(), CHOSEN)
    gain = validation.ndcg_at_10(model.scores) / validation.ndcg_at_10(Popularity(popularity).scores)
    assert least < gain < most


def test_catalog_too_large_is_refused_with_what_was_found_expected_and_the_remedy():
    assert vmis_knn_refusal(2_000_000, Choices()) is None
    refusal = vmis_knn_refusal(10_000_000, Choices())
    for part in ("10,000,000 items", "2,000,000 at most", "max-items in [vmis-knn]"):
        assert part in refusal
