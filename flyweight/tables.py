"""Figures as tables for a terminal, numbers with their units."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from export.measuring.evaluation import Estimate, Evaluation
from export.measuring.measured import Candidate
from export.promotion.judging import Verdict


def measured_table(candidates: Sequence[Candidate]) -> Table:
    """One row per artifact, fastest first; of the batch sizes the smallest and the largest. Fits 100 columns."""
    first = candidates[0].measured
    sizes = sorted(latency.batch_size for latency in first.latency)
    shown = [sizes[0], *sizes[1:][-1:]]
    title = f"{first.machine.cpu}, {first.machine.threads} thread; 95 % intervals in brackets"
    title += f"; x{shown[-1]}: a batch of {shown[-1]}" if len(shown) > 1 else ""
    times = [*(f"p50\nms\nx{size}" for size in shown), f"p99\nms\nx{shown[0]}"]
    numbers = (first.metric, "minus\npopularity", *times, "size\nMB", "RAM\nMB", "start\nms")
    table = _table(title, "artifact", *numbers)
    for candidate in sorted(candidates, key=lambda c: c.p50_ms):
        measured = candidate.measured
        p50_ms = {latency.batch_size: latency.p50_ms for latency in measured.latency}
        table.add_row(
            candidate.artifact.name,
            _interval(candidate.quality),
            _interval(measured.against_baseline.difference, sign="+"),
            *(f"{p50_ms[size]:.3f}" for size in shown),
            f"{candidate.latency.p99_ms:.3f}",
            f"{measured.size_bytes / 1e6:.2f}",
            f"{measured.footprint.memory_mb:.0f}",
            f"{measured.footprint.cold_start_ms:.0f}",
        )
    return table


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading, whole in (("artifact", True), ("version", True), ("may ship", True), ("why", False)):
        table.add_column(heading, no_wrap=whole)
    for verdict in verdicts:
        table.add_row(verdict.name, verdict.version, "yes" if verdict.good_enough else "no", verdict.why)
    return table


def evaluation_table(result: Evaluation) -> Table:
    asked = f"{result.asked}, {result.unknown_targets:,} targets outside the catalog"
    slices = [f"{name}\n({part.evaluations:,})" for name, part in result.slices.items()]
    table = _table(f"{result.protocol}, seen items: {result.seen}; {asked}", "metric", "all", *slices)
    for metric, estimate in result.metrics.items():
        parts = [part.metrics.get(metric) for part in result.slices.values()]
        table.add_row(metric, _interval(estimate), *(_interval(part) if part else "" for part in parts))
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    """A table whose first column is a name, never cut, and whose others are figures."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def _interval(estimate: Estimate, sign: str = "") -> str:
    """No blank in the brackets: on a narrow terminal the interval goes below its value as a whole."""
    return f"{estimate.value:{sign}.4f} [{estimate.low:{sign}.3f},{estimate.high:{sign}.3f}]"
