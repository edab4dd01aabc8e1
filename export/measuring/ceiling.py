"""`make bench`: what onnxruntime alone manages in this process, the ceiling of any service around it.

Two graphs with random weights over 3,706 items, full histories, one thread: the transformer and the mean
of item embeddings. Writes `reports/bench.json`; its path is the last line.
"""

import msgspec
import numpy as np

from contracts import durable
from contracts.machine import cores, cpu_model
from contracts.sections import Measuring
from contracts.settings import read_settings
from export.exporting import export_untrained
from export.measuring.latency import time_side_by_side
from service.predictor import OnnxPredictor

RUNGS = ("sasrec", "mean")
ITEMS = 3706
MEASURING = Measuring(batch_sizes=(1, 8, 32), rounds=5, calls_per_round=100)


def main() -> None:
    settings = read_settings()
    place = msgspec.structs.replace(settings.paths, artifacts=settings.paths.runs / "bench")
    settings = msgspec.structs.replace(settings, paths=place)
    predictors = [OnnxPredictor(export_untrained(rung, ITEMS, settings)) for rung in RUNGS]
    rng = np.random.default_rng(1)
    histories = rng.integers(ITEMS, size=(256, settings.training.max_history)).tolist()
    timed = time_side_by_side(predictors, [histories] * len(RUNGS), MEASURING)
    print(
        f"{cpu_model()}, {cores()} cores, one thread, {ITEMS:,} items, {settings.training.max_history} of history"
    )
    print(f"{'rung':8} {'batch':>5} {'p50 ms':>8} {'p99 ms':>8} {'predictions/s':>14}")
    for rung, latencies in zip(RUNGS, timed, strict=True):
        for one in latencies:
            rate = one.predictions_per_second
            print(f"{rung:8} {one.batch_size:>5} {one.p50_ms:>8.3f} {one.p99_ms:>8.3f} {rate:>14,.0f}")
    out = settings.paths.reports / "bench.json"
    durable.write_bytes(out, msgspec.json.encode(dict(zip(RUNGS, timed, strict=True))))
    print(out)


if __name__ == "__main__":
    main()
