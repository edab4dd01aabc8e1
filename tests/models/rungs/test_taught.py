import numpy as np

from contracts.rung_sections import Student
from models.rungs import taught
from models.rungs.sasrec_batches import TrainingWindows
from models.rungs.taught import TaughtPrefixes

CHOICES = Student(prefixes=1000, guesses=2, taught=0.6, temperature=1.0)


def lessons(log, users, scores, choices=CHOICES, max_history=3):
    windows = TrainingWindows(log, users, max_history)

    def teacher(histories):
        return np.tile(scores, (len(histories), 1))

    return TaughtPrefixes(windows, len(scores), teacher, choices, 0, lambda *said: None)


def test_every_beginning_of_a_history_asks_what_came_next(interactions_of):
    log = interactions_of((0, 4, 1), (0, 2, 2), (0, 1, 3), (0, 3, 4), (2, 0, 1), (2, 1, 2))
    learnt = lessons(log, 3, np.zeros(5, np.float32))
    asked = {
        tuple(history): items[0] for history, items in zip(learnt.histories.tolist(), learnt.items, strict=True)
    }
    assert asked == {(-1, -1, 4): 2, (-1, 4, 2): 1, (4, 2, 1): 3, (-1, -1, 0): 1}


def test_teachers_best_items_share_by_their_softmax(interactions_of):
    learnt = lessons(
        interactions_of((0, 4, 1), (0, 2, 2)), 1, np.log([0.1, 0.6, 0.05, 0.2, 0.05]).astype(np.float32)
    )
    assert learnt.items[0].tolist() == [2, 1, 3]
    np.testing.assert_allclose(learnt.weights[0], [0.4, 0.6 * 0.75, 0.6 * 0.25], rtol=1e-5)


def test_batch_asks_with_the_newest_item_only(interactions_of):
    log = interactions_of((0, 4, 1), (0, 2, 2), (0, 1, 3))
    learnt = lessons(log, 1, np.zeros(5, np.float32))
    batch = learnt.batch(np.array([0, 1]), length=2)
    assert batch.only_newest_asks
    assert batch.history.tolist() == [[-1, 4], [4, 2]]
    assert batch.history.ravel()[batch.asking].tolist() == [4, 2]
    assert batch.owners.tolist() == [0, 0, 0, 1, 1, 1] and batch.weights.sum() == np.float32(2.0)


def test_epoch_holds_every_prefix_once(interactions_of):
    log = interactions_of(*[(user, (user + step) % 5, step) for user in range(7) for step in range(4)])
    learnt = lessons(log, 7, np.zeros(5, np.float32))
    rows = np.concatenate([rows for rows, _ in learnt.epoch(4, np.random.default_rng(0))])
    assert sorted(rows.tolist()) == list(range(learnt.count)) and learnt.count == 21


def test_only_so_many_prefixes_are_drawn(interactions_of):
    log = interactions_of(*[(user, (user + step) % 5, step) for user in range(7) for step in range(4)])
    assert lessons(log, 7, np.zeros(5, np.float32), Student(prefixes=9, guesses=2)).count == 9


def test_basket_is_one_question(interactions_of):
    log = interactions_of((0, 4, 1, 0), (0, 2, 1, 0), (0, 1, 3, 1), (0, 3, 3, 1))
    learnt = lessons(log, 1, np.zeros(5, np.float32))
    assert learnt.histories.tolist() == [[-1, 4, 2]] and learnt.items[:, 0].tolist() == [1]


def test_teacher_of_a_small_catalog_guesses_all_of_it(interactions_of):
    choices = Student(guesses=50, taught=0.6)
    learnt = lessons(interactions_of((0, 4, 1), (0, 2, 2)), 1, np.zeros(5, np.float32), choices)
    assert learnt.items[0].tolist() == [2, 0, 1, 2, 3, 4]
    np.testing.assert_allclose(learnt.weights[0], [0.4] + [0.6 / 5] * 5, rtol=1e-6)


def test_teacher_of_a_large_catalog_is_asked_about_fewer_prefixes(interactions_of, monkeypatch):
    log = interactions_of(*[(user, (user + step) % 5, step) for user in range(7) for step in range(4)])
    monkeypatch.setattr(taught, "_SCORES_AT_MOST", 5 * 12)
    monkeypatch.setattr(taught, "_PREFIXES_AT_LEAST", 6)
    assert lessons(log, 7, np.zeros(5, np.float32)).count == 12
    monkeypatch.setattr(taught, "_SCORES_AT_MOST", 5)
    assert lessons(log, 7, np.zeros(5, np.float32)).count == 6
