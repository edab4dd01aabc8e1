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
_SECONDS_AT_MOST, _CALLS_AT_LEAST = 2.0, 10


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
    sizes = measuring.batch_sizes
    took_ms = [[[] for _ in sizes] for _ in predictors]
    for round_ in range(measuring.rounds):
        for p, predictor in enumerate(predictors):
            for b, batch_size in enumerate(sizes):
                calls = _time_calls(predictor, histories[p], batch_size, measuring.calls_per_round)
                took_ms[p][b].append(calls)
        progress("measuring latency", round_ + 1, measuring.rounds)
    return [[_summarise(*pair) for pair in zip(sizes, rounds, strict=True)] for rounds in took_ms]


def _time_calls(
    predictor: OnnxPredictor, histories: Sequence[list[int]], batch_size: int, calls: int
) -> np.ndarray:
    """Milliseconds of each call, histories taken in turn; encoding is not part of it. One call warms up. Of a slow
    model fewer calls: as many as `_SECONDS_AT_MOST` hold, and `_CALLS_AT_LEAST`."""
    took_ms, ends = np.empty(calls), time.perf_counter() + _SECONDS_AT_MOST
    for call in range(-1, calls):
        if call >= _CALLS_AT_LEAST and time.perf_counter() > ends:
            return took_ms[:call]
        start = (max(call, 0) * batch_size) % len(histories)
        batch = [histories[(start + row) % len(histories)] for row in range(batch_size)]
        encoded, excluded = encode_histories(batch, predictor.max_history), encode_excluded(batch)
        begin = time.perf_counter_ns()
        predictor.predict(encoded, excluded, K)
        took_ms[max(call, 0)] = (time.perf_counter_ns() - begin) / 1e6
    return took_ms


def _summarise(batch_size: int, rounds: Sequence[np.ndarray]) -> Latency:
    medians = np.array([np.median(calls) for calls in rounds])
    return Latency(
        batch_size,
        p50_ms=float(np.median(medians)),
        p99_ms=float(np.median([np.percentile(calls, 99) for calls in rounds])),
        low_ms=float(medians.min()),
        high_ms=float(medians.max()),
    )
