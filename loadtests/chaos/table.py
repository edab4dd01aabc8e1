"""The table of faults, in Markdown: for a terminal, and for docs/chaos.md."""

from collections.abc import Sequence

from loadtests.chaos.evidence import Outcome
from loadtests.long_runs import table_row

_HEADS = (
    "fault", "window s", "requests in it", "failed", "degraded in it", "p50 and p99 in it ms", "longest ms",
    "good again after s", "/events refused", "202 missing", "twice", "as expected",
)  # fmt: skip


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Rows first, then controls, which must break something."""
    rows = [one for one in outcomes if one.control_of is None]
    controls = [one for one in outcomes if one.control_of is not None]
    parts = [_table(rows)] if rows else []
    if controls:
        parts += ["", "Controls, each with a protection switched off:", "", _table(controls), ""]
        parts += [f"- {one.row}: {'; '.join(one.broken.values()) or 'NOTHING BROKE'}" for one in controls]
    if broken := [one for one in rows if one.broken]:
        parts += ["", "Not kept:", "", *(f"- {one.row}: {'; '.join(one.broken.values())}" for one in broken)]
    parts += ["", "Proof that each fault hit:", "", *(f"- {one.row}: {_proof(one)}" for one in outcomes)]
    return "\n".join(parts)


def line(one: Outcome) -> str:
    """One outcome in words, while the others are still to come."""
    verdict = "as expected" if one.as_expected else "NOT AS EXPECTED"
    return f"{one.row}: {verdict}; {', '.join(one.broken.values()) or 'nothing broke'}; {_proof(one)}"


def _table(outcomes: Sequence[Outcome]) -> str:
    return "\n".join([table_row(_HEADS), f"|{'---|' * len(_HEADS)}", *map(_row, outcomes)])


def _row(one: Outcome) -> str:
    cells = (
        f"{one.row}: {one.what}",
        f"{one.window.begin:.1f} to {one.window.end:.1f}",
        f"{one.in_window:,}",
        f"{one.failed:,}",
        f"{one.degraded:.1%}",
        f"{_milliseconds(one.p50_ms)}, {_milliseconds(one.p99_ms)}",
        _milliseconds(one.longest_ms),
        f"{_seconds(one.first_good_s)} (last degraded {_seconds(one.last_degraded_s)})",
        f"{one.events_refused:,}",
        f"{one.missing:,} of {one.events_accepted:,}",
        f"{one.twice:,}",
        "yes" if one.as_expected else "NO",
    )
    return table_row(cells)


def _proof(one: Outcome) -> str:
    fresh = ", ".join(f"{name} {_milliseconds(ms)} ms" for name, ms in one.freshness_ms.items())
    words = [f"{name} {value}" for name, value in one.proof.items()]
    words.append(f"{one.logged:,} of {one.begun:,} requests accounted for")
    words.append(
        f"{one.reflected:,} of {one.clicked:,} clicks in the very next answer, {one.stale:,} good ones without it"
        + (f" ({fresh})" if fresh else "")
    )
    if one.failures:
        words.append(", ".join(f"{number} x {why}" for why, number in one.failures.items()))
    return "; ".join(words)


def _milliseconds(value: float | None) -> str:
    return "none" if value is None else f"{value:,.1f}"


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
