"""The ceiling of any service: onnxruntime alone on encoded histories, in one process and in two at once.

`python -m loadtests.peers.ceiling ARTIFACT BATCH SECONDS` is one such process: it says `ready`, waits for a line
on standard input, and writes how many predictions a second it made.
"""

import contextlib
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from contracts.artifact import Artifact, open_artifact
from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import Fault
from loadtests.command_line import ROOT, clean_environment
from loadtests.peers.world import HISTORY
from service.lifetime import child_of
from service.predictor import OnnxPredictor

BATCHES, PROCESSES = (1, 32), (1, 2)
K = 10
_HISTORIES = 64


class Rate(msgspec.Struct, frozen=True):
    """Predictions a second of all `processes` together, each a run of onnxruntime over `batch` histories."""

    processes: int
    batch: int
    predictions_per_second: float


def measure(artifact: Artifact, *, processes: int, batch: int, seconds: float) -> Rate:
    """Let so many processes predict at the same time for `seconds`. Raises `Fault` when one fails."""
    command = [sys.executable, "-m", "loadtests.peers.ceiling", str(artifact.path), str(batch), str(seconds)]
    with contextlib.ExitStack() as started:
        children = [started.enter_context(_child(command)) for _ in range(processes)]
        for child in children:
            if child.stdout.readline().strip() != "ready":
                raise Fault(f"`{' '.join(command)}` did not become ready; its words stand above.")
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        rates = [child.stdout.readline() for child in children]
    if not all(rates):
        raise Fault(f"`{' '.join(command)}` ended without a figure; its words stand above.")
    return Rate(processes, batch, sum(map(float, rates)))


@contextlib.contextmanager
def _child(command: list[str]):
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(child_of, os.getpid()),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def predictions_per_second(predictor: OnnxPredictor, batch: int, seconds: float) -> float:
    """One thread, full histories that were encoded beforehand, seen items excluded, the best 10 asked for."""
    random = np.random.default_rng(1)
    questions = []
    for _ in range(_HISTORIES):
        histories = random.integers(predictor.items, size=(batch, HISTORY)).tolist()
        questions.append((encode_histories(histories, predictor.max_history), encode_excluded(histories)))
    calls, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        predictor.predict(*questions[calls % _HISTORIES], K)
        calls += 1
    return calls * batch / elapsed


def main() -> None:
    folder, batch, seconds = sys.argv[1:]
    predictor = OnnxPredictor(open_artifact(Path(folder)))
    predictions_per_second(predictor, int(batch), 0.3)  # warm
    print("ready", flush=True)
    sys.stdin.readline()
    print(predictions_per_second(predictor, int(batch), float(seconds)), flush=True)


if __name__ == "__main__":
    main()
