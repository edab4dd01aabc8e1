"""Every round asks each artifact, so that what drifts hits all of them alike."""

import numpy as np
import pytest

from contracts.sections import Measuring
from export.measuring import latency
from export.measuring.latency import Latency, time_side_by_side

MEASURING = Measuring(batch_sizes=(1, 4), rounds=3, calls_per_round=2)


class Recording:
    """A predictor that answers nothing and notes in a shared list who was asked for how many."""

    max_history = 5
    room = None

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        self.name, self.calls, self.seen = name, calls, []

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> None:
        self.calls.append((self.name, len(history)))
        self.seen.append(history[:, -1].tolist())


def test_artifacts_take_turns_in_every_round():
    calls: list[tuple[str, int]] = []
    time_side_by_side([Recording("a", calls), Recording("b", calls)], [[[1]], [[2]]], MEASURING)
    warm_up_and_two = 3
    one_round = [(name, size) for name in "ab" for size in (1, 4) for _ in range(warm_up_and_two)]
    assert calls == one_round * 3


def test_histories_are_taken_in_turn_and_wrap_around():
    predictor = Recording("a", [])
    time_side_by_side([predictor], [[[1], [2], [3]]], Measuring(batch_sizes=(2,), rounds=1, calls_per_round=3))
    assert predictor.seen == [[1, 2], [1, 2], [3, 1], [2, 3]]  # the first is the warm-up


def test_one_latency_for_each_batch_size_with_the_spread_of_the_rounds():
    ((one, four),) = time_side_by_side([Recording("a", [])], [[[1]]], MEASURING)
    assert (one.batch_size, four.batch_size) == (1, 4)
    for found in (one, four):
        assert 0 < found.low_ms <= found.p50_ms <= found.high_ms


def test_slow_model_is_timed_fewer_times_and_never_less_than_ten(monkeypatch):
    """The clock of this test goes on by ten seconds whenever it is looked at."""
    passed = iter(range(0, 10_000, 10))
    monkeypatch.setattr(latency.time, "perf_counter", lambda: float(next(passed)))
    predictor = Recording("a", [])
    ((one,),) = time_side_by_side([predictor], [[[1]]], Measuring(batch_sizes=(1,), rounds=2, calls_per_round=50))
    assert len(predictor.calls) == 2 * (1 + 10) and one.p50_ms > 0


def test_a_batch_of_8_in_2_ms_is_4000_predictions_a_second():
    assert Latency(8, p50_ms=2.0, p99_ms=3.0, low_ms=1.0, high_ms=4.0).predictions_per_second == pytest.approx(
        4000
    )
