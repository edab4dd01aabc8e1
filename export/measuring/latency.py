"""How fast artifacts answer, measured side by side: every round asks each of them, so drift hits all alike."""

import time
from collections.abc import Sequence

import msgspec
import numpy as np

from contracts.encoding import encode_excluded, encode_histories
from contracts.progress import Progress, silent
from contracts.sections import Measuring
from service.predictor import OnnxPredictor

K = 10


class Latency(msgspec.Struct, frozen=True):
    """Of one call of the model with one thread. `p50_ms` is the median over rounds of each round's median,
    `low_ms` and `high_ms` the fastest and slowest round's; a difference inside that spread is no difference."""

    batch_size: int
    p50_ms: float
    p99_ms: float
    low_ms: float
    high_ms: float

    @property
    def predictions_per_second(self) -> float:
        return self.batch_size * 1000 / self.p50_ms


def time_side_by_side(
    predictors: Sequence[OnnxPredictor],
    histories: Sequence[Sequence[list[int]]],
    measuring: Measuring,
    progress: Progress = silent,
) -> list[list[Latency]]:
    """Per predictor one `Latency` for each batch size; `histories[p]` are real ones of predictor p."""
    calls = np.zeros((measuring.rounds, len(predictors), len(measuring.batch_sizes), measuring.calls_per_round))
    for round_ in range(measuring.rounds):
        for p, predictor in enumerate(predictors):
            for b, batch_size in enumerate(measuring.batch_sizes):
                calls[round_, p, b] = _time_calls(predictor, histories[p], batch_size, measuring.calls_per_round)
        progress("measuring latency", round_ + 1, measuring.rounds)
    return [
        [_summarise(size, calls[:, p, b]) for b, size in enumerate(measuring.batch_sizes)]
        for p in range(len(predictors))
    ]


def _time_calls(
    predictor: OnnxPredictor, histories: Sequence[list[int]], batch_size: int, calls: int
) -> np.ndarray:
    """Milliseconds of each call, histories taken in turn; encoding is not part of it. One call warms up."""
    took_ms = np.empty(calls)
    for call in range(-1, calls):
        start = (max(call, 0) * batch_size) % len(histories)
        batch = [histories[(start + row) % len(histories)] for row in range(batch_size)]
        encoded, excluded = encode_histories(batch, predictor.max_history), encode_excluded(batch)
        begin = time.perf_counter_ns()
        predictor.predict(encoded, excluded, K)
        took_ms[max(call, 0)] = (time.perf_counter_ns() - begin) / 1e6
    return took_ms


def _summarise(batch_size: int, rounds: np.ndarray) -> Latency:
    medians = np.median(rounds, axis=1)
    return Latency(
        batch_size,
        p50_ms=float(np.median(medians)),
        p99_ms=float(np.median(np.percentile(rounds, 99, axis=1))),
        low_ms=float(medians.min()),
        high_ms=float(medians.max()),
    )
