import numpy as np
import pytest

from contracts.sections import Settings
from contracts.sections import Split as SplitSettings
from models.splits.questions import (
    cold_questions,
    every_prefix_questions,
    holdout_questions,
    next_item_questions,
    validation_questions,
)
from models.splits.split import make_split


def asked(questions):
    return [
        (int(group), history.tolist(), target.tolist())
        for group, history, target in zip(questions.groups, questions.histories, questions.targets, strict=True)
    ]


def test_each_user_is_asked_once_for_the_first_item_after_the_cutoff(interactions_of):
    past = interactions_of((0, 5, 1), (1, 6, 2), (0, 7, 3))
    future = interactions_of((1, 8, 10), (0, 9, 11), (1, 5, 12), (0, 5, 13))
    questions = next_item_questions(past, future, users=2)
    assert asked(questions) == [(0, [5, 7], [9]), (1, [6], [8])]
    assert questions.next_items().tolist() == [9, 8]
    assert questions.cold == 0


def test_of_many_questions_the_same_few_are_drawn_in_their_order(interactions_of):
    past = interactions_of(*[(user, user, user) for user in range(40)])
    future = interactions_of(*[(user, 50 + user, 100 + user) for user in range(40)])
    questions = next_item_questions(past, future, users=40)
    first, second = questions.drawn(10), questions.drawn(10)
    assert asked(first) == asked(second) == [one for one in asked(questions) if one[0] in first.groups]
    assert (len(first), first.left_out) == (10, 30)
    assert questions.drawn(40) is questions and questions.left_out == 0


def test_user_without_history_is_cold_and_asked_apart(interactions_of):
    past = interactions_of((0, 5, 1))
    future = interactions_of((2, 8, 10), (0, 9, 11))
    questions = next_item_questions(past, future, users=3)
    assert asked(questions) == [(0, [5], [9])]
    assert questions.cold == 1
    assert asked(cold_questions(past, future, users=3)) == [(2, [], [8])]


def test_nobody_in_the_future_gives_no_questions(interactions_of):
    past = interactions_of((0, 5, 1, 1))
    future = past.take(np.empty(0, dtype=int))
    assert len(next_item_questions(past, future, users=1)) == 0
    assert len(cold_questions(past, future, users=1)) == 0


def test_items_of_the_targets_own_basket_are_no_history(interactions_of):
    past = interactions_of((0, 1, 1, 7), (0, 2, 5, 8), (1, 3, 5, 9), (1, 4, 5, 9))
    future = interactions_of((0, 5, 5, 8), (1, 6, 5, 9))
    questions = next_item_questions(past, future, users=2)
    assert asked(questions) == [(0, [1], [5])]
    assert questions.cold == 1, "user 1 has nothing but the basket"


def test_same_time_without_sessions_is_history(interactions_of):
    past, future = interactions_of((0, 1, 5), (0, 2, 5)), interactions_of((0, 3, 5))
    assert asked(next_item_questions(past, future, users=1)) == [(0, [1, 2], [3])]


def test_every_prefix_of_every_session_is_asked_for_all_that_remains(interactions_of):
    rows = interactions_of((0, 1, 1, 4), (1, 9, 2, 5), (0, 2, 3, 4), (0, 3, 4, 4), (1, 8, 5, 5), (2, 7, 6, 6))
    assert asked(every_prefix_questions(rows)) == [
        (4, [1], [2, 3]),
        (4, [1, 2], [3]),
        (5, [9], [8]),
    ]


def test_prefixes_never_cut_through_a_basket(interactions_of):
    rows = interactions_of((0, 1, 1, 4), (0, 2, 1, 4), (0, 3, 2, 4), (0, 4, 2, 4), (0, 5, 3, 4))
    assert asked(every_prefix_questions(rows)) == [
        (4, [1, 2], [3, 4, 5]),
        (4, [1, 2, 3, 4], [5]),
    ]


def test_without_sessions_a_user_is_a_session_and_each_row_a_step(interactions_of):
    rows = interactions_of((0, 1, 1), (0, 2, 1), (1, 5, 1))
    assert asked(every_prefix_questions(rows)) == [(0, [1], [2])]


def test_no_interactions_give_no_prefixes(interactions_of):
    rows = interactions_of((0, 1, 1)).take(np.empty(0, dtype=int))
    assert len(every_prefix_questions(rows)) == 0


@pytest.fixture(params=["time-split", "leave-one-out"])
def split(request, sample_folder, tmp_path):
    settings = Settings(split=SplitSettings(protocol=request.param))
    return make_split(sample_folder, tmp_path / "split", settings)


def test_no_history_reaches_into_the_future(split):
    for questions, parts in (
        (validation_questions(split), [split.train]),
        (holdout_questions(split), [split.train, split.validation]),
    ):
        future = split.validation if len(parts) == 1 else split.holdout()
        for user, history, target in asked(questions):
            first = np.flatnonzero(future.users == user)[0]
            before = np.concatenate([part.times[part.users == user] for part in parts])
            items = np.concatenate([part.items[part.users == user] for part in parts])
            assert target == [future.items[first]]
            assert history == items[: len(history)].tolist()
            assert (before[: len(history)] <= future.times[first]).all()
        assert len(questions) > 40


def test_every_user_of_the_holdout_is_asked_or_cold(split):
    questions = holdout_questions(split)
    assert len(questions) + questions.cold == split.description.parts["holdout"].users
    assert len(np.unique(questions.groups)) == len(questions)


def test_validation_questions_do_not_need_the_holdout(split):
    expected = asked(validation_questions(split))
    (split.folder / "holdout.parquet").unlink()
    assert asked(validation_questions(split)) == expected
