"""Figures as tables for a terminal, numbers with their units."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from export.evaluation import Estimate, Evaluation
from export.judging import Verdict
from export.measuring import Candidate


def measured_table(candidates: Sequence[Candidate]) -> Table:
    """One row per artifact, fastest first."""
    first = candidates[0].measured
    title = f"{first.machine.cpu}, {first.machine.threads} thread; 95 % intervals in brackets"
    batches = [f"p50 ms\nbatch {latency.batch_size}" for latency in first.latency]
    table = _table(title, "artifact", first.metric, "minus popularity", *batches)
    for heading in (f"p99 ms\nbatch {candidates[0].latency.batch_size}", "size\nMB", "memory\nMB", "start\nms"):
        table.add_column(heading, justify="right")
    for candidate in sorted(candidates, key=lambda c: c.p50_ms):
        measured = candidate.measured
        table.add_row(
            candidate.artifact.name,
            _interval(candidate.quality),
            _interval(measured.against_baseline.difference, sign="+"),
            *(f"{latency.p50_ms:.3f}" for latency in measured.latency),
            f"{candidate.latency.p99_ms:.3f}",
            f"{measured.size_bytes / 1e6:.2f}",
            f"{measured.footprint.memory_mb:.0f}",
            f"{measured.footprint.cold_start_ms:.0f}",
        )
    return table


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table("artifact", "version", "may ship", "why", box=SIMPLE_HEAD)
    for verdict in verdicts:
        table.add_row(verdict.name, verdict.version, "yes" if verdict.good_enough else "no", verdict.why)
    return table


def evaluation_table(result: Evaluation) -> Table:
    asked = f"{result.evaluations:,} evaluations, {result.unknown_targets:,} targets outside the catalog"
    slices = [f"{name}\n({part.evaluations:,})" for name, part in result.slices.items()]
    table = _table(f"{result.protocol}, seen items: {result.seen}; {asked}", "metric", "all", *slices)
    for metric, estimate in result.metrics.items():
        parts = [part.metrics.get(metric) for part in result.slices.values()]
        table.add_row(metric, _interval(estimate), *(_interval(part) if part else "" for part in parts))
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    """A table whose first column is a name and whose others are figures."""
    table = Table(first, title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def _interval(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.4f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"
