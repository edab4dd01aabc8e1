"""The figures of `make bench-catalog` as a Markdown table for the docs."""

from loadtests.long_runs import table_row
from loadtests.peers.catalog_load import in_words
from loadtests.peers.catalog_rows import Failure, Report, Row

_HEADINGS = (
    "items", "artifact", "MB", "recall@10 of exact", "NDCG@10", "requests/s", "p50, p90, p99 ms", "CPU ms",
    "PSS MB", "RSS MB", "ready s",
)  # fmt: skip


def markdown(report: Report) -> str:
    """A row per artifact, what was not as it should be and the open load tests below as a list."""
    lines = [table_row(_HEADINGS), table_row("---" if n < 2 else "---:" for n in range(len(_HEADINGS)))]
    lines += [table_row(_cells(row)) for row in report.rows]
    notes = [f"- {_name(row)}: {problem}" for row in report.rows if (problem := _problem(row, report.connections))]
    notes += [f"- {_name(row)}: {_loaded(row)}" for row in report.rows if row.target]
    notes += [f"- {one.size:,} items, {one.artifact}: not made, {one.why}" for one in report.left_out]
    notes += [f"- {_failed(failure)}" for failure in report.failures]
    made = (
        f"{report.machine}, {report.cores} cores, load generator on the same ones; {report.connections} "
        f"connections, medians of {report.rounds} rounds of {report.seconds} s; {_days(report)}; "
        f"`{report.command}`."
    )
    return "\n".join([*lines, "", *notes, *([""] if notes else []), made])


def _cells(row: Row) -> list[str]:
    m, ndcg = row.measured, row.ndcg
    quality = f"{ndcg.value:.4f} [{ndcg.low:.4f}, {ndcg.high:.4f}]" if ndcg else "not measured"
    return [
        f"{row.items:,}", row.artifact, f"{row.artifact_mb:,.0f}",
        "exact" if row.recall is None else f"{row.recall:.3f}", quality, f"{m.rps:,.0f}",
        f"{m.p50_ms:.1f}, {m.p90_ms:.1f}, {m.p99_ms:.1f}", number(m.cpu_us / 1e3), f"{m.memory_mb:,.0f}",
        f"{row.resident_mb:,.0f}", f"{row.ready_seconds:.1f}",
    ]  # fmt: skip


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _problem(row: Row, connections: int) -> str:
    """What the requests per second must not be read without; empty where there is nothing."""
    m = row.measured
    few = f"asked over {m.connections} connections only" if m.connections != connections else ""
    counts = {"errors": m.errors.total, "fallbacks": m.fallbacks or 0, "unanswered": m.unanswered}
    return ", ".join(filter(None, [few, *(f"{count:,} {name}" for name, count in counts.items() if count)]))


def _loaded(row: Row) -> str:
    return f"open load test, {', '.join(f'`{o}`' for o in row.target.objectives)}: {in_words(row.target)}"


def _name(row: Row) -> str:
    return f"{row.items:,} items, {row.artifact}"


def _failed(failure: Failure) -> str:
    return f"{failure.size:,} items, {failure.artifact or 'all of it'}: no figure. {failure.why.splitlines()[0]}"


def _days(report: Report) -> str:
    return " and ".join(sorted({row.date for row in report.rows})) or "no day"
