"""Measured artifacts planted figure by figure: no file behind them, nothing trained."""

from pathlib import Path

import msgspec
import pytest

from contracts.artifact import SCHEMA_VERSION, Artifact, Manifest
from export.measuring.evaluation import Estimate, Evaluation
from export.measuring.footprint import Footprint
from export.measuring.latency import Latency
from export.measuring.measured import Candidate, Comparison, Machine, Measured

POPULARITY = 0.050
"""What popularity reaches in these tests."""


def comparison(version: str, low: float, high: float, value: float | None = None) -> Comparison:
    middle = (low + high) / 2 if value is None else value
    return Comparison(version.replace("@", ":"), version, Estimate(middle, low, high))


def latency(p50_ms: float, spread_ms: float = 0.0, batch_size: int = 1, p99_ms: float | None = None) -> Latency:
    p99_ms = 2 * p50_ms if p99_ms is None else p99_ms
    return Latency(batch_size, p50_ms, p99_ms, p50_ms - spread_ms, p50_ms + spread_ms)


def planted(
    name: str,
    ndcg: float,
    p50_ms: float = 0.1,
    *,
    gain: tuple[float, float] | None = None,
    spread_ms: float = 0.0,
    size_mb: float = 1.0,
    version: str | None = None,
    **changes: object,
) -> Candidate:
    """`gain` is the interval of the difference to popularity, by default tight around the difference. The most
    accurate of all is `best@fp32`, from which no interval is known. `changes` replace fields of `Measured`."""
    rung, variant = name.split(":")
    version = version or f"{rung}@{variant}"
    width = 0.0 if name == "popularity:fp32" else 0.001
    gain = gain or (ndcg - POPULARITY - width, ndcg - POPULARITY + width)
    manifest = Manifest(SCHEMA_VERSION, rung, variant, f"{rung}-run", 100, 50, "mask", 20, [], [], None)
    metrics = {"NDCG@10": Estimate(ndcg, ndcg - 0.005, ndcg + 0.005), "Coverage@10": Estimate(0.3, 0.3, 0.3)}
    measured = Measured(
        run="run",
        manifest_sha256="0",
        machine=Machine("m", "cpu", 2, 1),
        metric="NDCG@10",
        quality=Evaluation("time-split", "mask", 100, 0, metrics, {}),
        against_baseline=comparison("popularity@fp32", *gain),
        against_best=comparison("best@fp32", 0, 0),
        against_fp32=None,
        policy_gain=None,
        latency=[latency(p50_ms, spread_ms)],
        size_bytes=round(size_mb * 1e6),
        footprint=Footprint(cold_start_ms=50, memory_mb=30),
    )
    return Candidate(Artifact(Path("artifacts"), manifest, version), msgspec.structs.replace(measured, **changes))


@pytest.fixture
def plant():
    """A measured artifact: `plant("sasrec:fp32", 0.1, p50_ms=1.0)`."""
    return planted


@pytest.fixture
def popularity():
    """The baseline: quick, small, and beaten by whoever shows more than 0.05."""
    return planted("popularity:fp32", POPULARITY, 0.01, size_mb=0.1)


@pytest.fixture
def timed():
    """A `Latency`: `timed(0.1, spread_ms=0.01, batch_size=32)`."""
    return latency


@pytest.fixture
def compared():
    """A `Comparison` with another version: `compared("sasrec@fp32", low, high)`."""
    return comparison


@pytest.fixture
def requalified():
    """A candidate with another estimate of one metric; None takes it away."""

    def replace(candidate: Candidate, metric: str, value: float | None) -> Candidate:
        quality = candidate.measured.quality
        kept = {name: estimate for name, estimate in quality.metrics.items() if name != metric}
        added = {} if value is None else {metric: Estimate(value, value, value)}
        quality = msgspec.structs.replace(quality, metrics=kept | added)
        return Candidate(candidate.artifact, msgspec.structs.replace(candidate.measured, quality=quality))

    return replace


@pytest.fixture
def verdict_of():
    """The verdict of one name in a decision."""

    def find(decision, name):
        return next(verdict for verdict in decision.verdicts if verdict.name == name)

    return find
