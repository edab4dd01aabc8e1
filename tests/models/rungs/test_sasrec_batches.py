import numpy as np
import pytest

from models.rungs.sasrec_batches import TrainingWindows


def questions_of(windows: TrainingWindows, size=4, seed=0) -> list[tuple]:
    """Every (newest item seen, history, targets, weights) asked in one epoch, sorted."""
    found = []
    for starts, ends in windows.epoch(size, np.random.default_rng(seed)):
        batch = windows.batch(starts, ends)
        length = batch.history.shape[1]
        for number, place in enumerate(batch.asking):
            row = batch.history[place // length, : place % length + 1]
            mine = batch.owners == number
            targets = batch.targets[mine].tolist()
            found.append((row[row >= 0].tolist(), targets, batch.weights[mine].tolist()))
    return sorted(found)


def test_without_sessions_each_item_asks_for_the_next(interactions_of):
    log = interactions_of((0, 5, 1), (1, 8, 1), (0, 6, 2), (0, 7, 3))
    windows = TrainingWindows(log, users=2, max_history=10)
    assert questions_of(windows) == [([5], [6], [1.0]), ([5, 6], [7], [1.0])]


def test_whole_basket_asks_once_for_the_whole_next_one(interactions_of):
    log = interactions_of((0, 1, 1, 0), (0, 2, 1, 0), (0, 3, 9, 1), (0, 4, 9, 1), (0, 5, 20, 1))
    windows = TrainingWindows(log, users=1, max_history=10)
    assert questions_of(windows) == [
        ([1, 2], [3, 4], [0.5, 0.5]),
        ([1, 2, 3, 4], [5], [1.0]),
    ]


def test_heavier_interaction_counts_more_as_a_target(interactions_of):
    log = interactions_of((0, 1, 1), (0, 2, 2))
    log.weights[:] = [9.0, 3.0]
    assert questions_of(TrainingWindows(log, 1, 10)) == [([1], [2], [3.0])]


@pytest.mark.parametrize("seed", range(5))
def test_long_history_is_cut_anew_each_epoch_and_every_item_asks_once(interactions_of, seed):
    log = interactions_of(*[(0, item, item) for item in range(23)], *[(1, 30 + i, i) for i in range(3)])
    asked = questions_of(TrainingWindows(log, users=2, max_history=5), seed=seed)
    assert all(len(history) <= 5 for history, *_ in asked)
    assert sorted(history[-1] for history, *_ in asked) == [*range(22), 30, 31]
    assert all(targets == [history[-1] + 1] for history, targets, _ in asked)


def test_epochs_cut_at_different_places(interactions_of):
    log = interactions_of(*[(0, item, item) for item in range(40)])
    windows = TrainingWindows(log, users=1, max_history=10)
    cuts = {tuple(sorted(windows.cut(shift)[0])) for shift in range(10)}
    assert len(cuts) == 10


def test_user_with_one_interaction_asks_nothing(interactions_of):
    windows = TrainingWindows(interactions_of((0, 1, 1), (1, 2, 2)), users=2, max_history=5)
    assert windows.count == 0
    assert questions_of(windows) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_of_a_batch_ask_together_what_the_whole_asks(interactions_of, count):
    log = interactions_of(*[(user, user * 10 + item, item) for user in range(5) for item in range(1 + user)])
    windows = TrainingWindows(log, users=5, max_history=10)
    whole = windows.batch(*windows.epoch(9, np.random.default_rng(0))[0])

    def asked(batch) -> list[tuple]:
        length = batch.history.shape[1]
        row, column = np.divmod(batch.asking[batch.owners], length)
        asking = batch.history[row, column]
        return list(zip(asking.tolist(), batch.targets.tolist(), batch.weights.tolist(), strict=True))

    shares = [whole.share(number, count) for number in range(count)]
    assert sorted(pair for share in shares for pair in asked(share)) == sorted(asked(whole))
    assert sum(len(share.history) for share in shares) == len(whole.history)
