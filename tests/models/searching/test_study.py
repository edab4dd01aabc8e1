"""Trials of a network: given up below the median, cut at the end, and failed ones count for nothing."""

import numpy as np
import pytest

from contracts.faults import Fault
from models.searching.search_space import Knob
from models.searching.study import Study
from models.searching.trial_journal import Trial, append_trial, best_trial, read_trials


class Clock:
    """Stands still unless it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class FakeRehearsal:
    """A network whose NDCG@10 in every epoch is what its turn says; `seconds` pass in each."""

    knobs = (Knob("dropout", 0.0, 1.0),)

    def __init__(self, turns, clock=None, seconds=0.0):
        self.turns, self.clock, self.seconds = iter(turns), clock, seconds

    def of_given(self, watch):
        return {"dropout": 0.5}, self.of_params({}, watch)

    def of_params(self, params, watch):
        turn = next(self.turns)
        if isinstance(turn, Exception):
            raise turn
        for epoch, ndcg in enumerate(turn, start=1):
            if self.clock:
                self.clock.now += self.seconds
            watch(epoch, ndcg)
        return max(turn)


GOOD = [0.1, 0.2, 0.3, 0.4]


def test_a_network_below_the_median_is_given_up_and_is_not_the_best():
    study = Study(FakeRehearsal([GOOD, GOOD, GOOD, [0.01, 0.02, 0.03, 0.9], GOOD]), [], seed=1, clock=Clock())
    trials = [study.next_trial(deadline=1.0) for _ in range(5)]
    assert [trial.state for trial in trials] == ["finished"] * 3 + ["pruned", "finished"]
    assert (trials[3].epochs, trials[3].ndcg) == ([0.01, 0.02, 0.03], None)
    assert best_trial(trials) == 0


def test_a_resumed_study_gives_up_by_the_earlier_trials():
    first = Study(FakeRehearsal([GOOD] * 3), [], seed=1, clock=Clock())
    trials = [first.next_trial(deadline=1.0) for _ in range(3)]
    resumed = Study(FakeRehearsal([[0.01, 0.02, 0.03, 0.9]]), trials, seed=1, clock=Clock())
    assert resumed.next_trial(deadline=1.0).state == "pruned"


def test_a_network_in_training_when_the_minutes_end_counts_as_good_as_it_was():
    clock = Clock()
    study = Study(FakeRehearsal([GOOD, GOOD], clock, seconds=10), [], seed=1, clock=clock)
    given, cut = study.next_trial(deadline=20.0), study.next_trial(deadline=60.0)
    assert given.epochs == GOOD  # what was set is never cut
    assert (cut.state, cut.epochs, cut.ndcg, cut.seconds) == ("finished", GOOD[:2], 0.2, 20)


@pytest.mark.parametrize("error", [Fault("the network diverged"), np.linalg.LinAlgError()])
def test_a_trial_that_cannot_be_trained_is_no_result_and_the_search_goes_on(error):
    study = Study(FakeRehearsal([[0.1], error, [0.3]]), [], seed=1, clock=Clock())
    trials = [study.next_trial(deadline=1.0) for _ in range(3)]
    assert [trial.state for trial in trials] == ["finished", "failed", "finished"]
    assert best_trial(trials) == 2


def test_of_equal_trials_the_first_is_the_best(tmp_path):
    for ndcg in (0.1, 0.2, 0.2):
        trial = Trial(params={}, state="finished", ndcg=ndcg, epochs=[], seconds=1.0)
        append_trial(tmp_path / "journal.jsonl", trial)
    assert best_trial(read_trials(tmp_path / "journal.jsonl")) == 1
