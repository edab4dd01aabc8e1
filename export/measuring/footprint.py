"""What one artifact costs a fresh process: `python -m export.measuring.footprint ARTIFACT` prints it as JSON."""

import json
import subprocess
import sys
import time
from pathlib import Path

import msgspec


class Footprint(msgspec.Struct, frozen=True):
    """Added to a process that has onnxruntime loaded: time until the probes are right, and memory kept."""

    cold_start_ms: float
    memory_mb: float


def footprint_of(artifact: Path) -> Footprint:
    """Open the artifact in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, str(artifact)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return msgspec.json.decode(printed, type=Footprint)


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status shows no VmRSS; expected Linux")


def _main(path: Path) -> None:
    from contracts.artifact import open_artifact
    from service.predictor import OnnxPredictor

    before_mb, start = _resident_mb(), time.perf_counter()
    artifact = open_artifact(path)
    predictor = OnnxPredictor(artifact)
    predictor.replay_probes()
    assert len(artifact.catalog) == len(artifact.popular)  # loaded as the service loads them
    cold_start_ms = (time.perf_counter() - start) * 1000
    print(json.dumps({"cold_start_ms": cold_start_ms, "memory_mb": _resident_mb() - before_mb}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
