"""What `flyweight validate` says about a log: what was dropped and why, and whether it can be trained on."""

from datetime import UTC, datetime

import msgspec

from contracts.faults import VerdictIsNo
from models.logs.timestamps import ORDER

BLANK, NO_USER, NO_ITEM, LONG_ID, BAD_WEIGHT, OTHER_EVENT, BAD_TIME, DUPLICATE = (
    "blank row",
    "empty user id",
    "empty item id",
    "id longer than 256 characters",
    "weight that is not a number above 0",
    "event type not asked for",
    "timestamp that cannot be read",
    "duplicate of another row",
)
REASONS = (BLANK, NO_USER, NO_ITEM, LONG_ID, BAD_WEIGHT, OTHER_EVENT, BAD_TIME, DUPLICATE)
"""Why a row is dropped. A row with several faults counts once, under the first."""

EXPECTED_REASONS = (OTHER_EVENT, DUPLICATE)
MIN_ITEMS = 10
MIN_USERS = 2


class Dropped(msgspec.Struct):
    """Rows dropped for one reason, with the first of them. Rows count from 1, the header is none."""

    reason: str
    rows: int
    first_row: int
    example: str


class LogReport(msgspec.Struct, kw_only=True):
    """What was found in a log. `first_time` and `last_time` are milliseconds, or places in an order."""

    path: str
    rows_read: int
    rows_kept: int
    dropped: list[Dropped]
    users: int
    items: int
    users_with_one_interaction: int
    items_seen_once: int
    out_of_order_rows: int
    timestamp_kind: str
    first_time: int | None
    last_time: int | None
    sessions: int | None
    rows_without_session: int
    baskets: int | None
    titles_found: int
    problems: list[str] = []
    warnings: list[str] = []


def judge(report: LogReport) -> LogReport:
    """The same report with its problems (training is impossible) and warnings filled in."""
    return msgspec.structs.replace(report, problems=_problems(report), warnings=_warnings(report))


def ensure_trainable(report: LogReport) -> None:
    """Raise `VerdictIsNo` with every problem of the log."""
    if report.problems:
        raise VerdictIsNo(f"{report.path} cannot be trained on:\n- " + "\n- ".join(report.problems))


def _problems(report: LogReport) -> list[str]:
    if not report.rows_kept:
        return [_nothing_left(report)]
    problems = []
    regulars = report.users - report.users_with_one_interaction
    if regulars < MIN_USERS:
        problems.append(
            f"{regulars} users have two or more interactions, expected at least {MIN_USERS}: what follows what "
            "cannot be learned. Bring a longer log, or check that [log] user-id names the right column."
        )
    if report.items < MIN_ITEMS:
        problems.append(
            f"{report.items} items, expected at least {MIN_ITEMS}. Bring a larger log, or check that "
            "[log] item-id names the right column."
        )
    if report.first_time == report.last_time:
        problems.append(
            "every interaction has the same timestamp, so there is no before and after. Check that "
            "[log] timestamp names the right column."
        )
    return problems


def _nothing_left(report: LogReport) -> str:
    if not report.rows_read:
        return "there are no interactions: found a header and nothing below it."
    largest = max(report.dropped, key=lambda dropped: dropped.rows)
    return (
        f"none of {report.rows_read:,} rows is left; most were dropped as {largest.reason} "
        f"(row {largest.first_row}: {largest.example}). Check the column names in [log]."
    )


def _warnings(report: LogReport) -> list[str]:
    warnings = []
    faulty = [dropped for dropped in report.dropped if dropped.reason not in EXPECTED_REASONS]
    lost = sum(dropped.rows for dropped in faulty)
    if lost * 20 > report.rows_read:
        warnings.append(f"{lost:,} of {report.rows_read:,} rows are faulty and were dropped.")
    if report.users_with_one_interaction * 2 > report.users:
        warnings.append("more than half of the users have one interaction: nothing can be learned from them.")
    if report.out_of_order_rows:
        warnings.append(
            f"{report.out_of_order_rows:,} rows stand after a row with a later time; all rows were sorted by "
            "time, and rows of the same time keep the order of the file."
        )
    if report.rows_without_session:
        warnings.append(
            f"{report.rows_without_session:,} rows have no session id; they count as one session of their user."
        )
    if 0 < report.titles_found < report.items:
        warnings.append(f"{report.items - report.titles_found:,} of {report.items:,} items have no title.")
    return warnings


def render(report: LogReport) -> str:
    """The report as text for a person."""
    lines = [f"{report.path}: {report.rows_kept:,} of {report.rows_read:,} interactions kept"]
    for dropped in report.dropped:
        lines.append(f"  dropped {dropped.rows:,}: {dropped.reason}")
        lines.append(f"    first is row {dropped.first_row}: {dropped.example}")
    lines += [f"  {label:<12} {text}" for label, text in _facts(report)]
    lines += [f"warning: {text}" for text in report.warnings]
    lines += [f"problem: {text}" for text in report.problems]
    if not report.problems:
        lines.append("This log can be trained on.")
    return "\n".join(lines)


def _facts(report: LogReport) -> list[tuple[str, str]]:
    facts = [
        ("users", f"{report.users:,} ({report.users_with_one_interaction:,} with one interaction)"),
        ("items", f"{report.items:,} ({report.items_seen_once:,} seen once)"),
        ("titles", f"for {report.titles_found:,} items" if report.titles_found else "none"),
    ]
    if report.first_time is not None:
        facts.append(("time", _span(report)))
    if report.sessions is not None:
        rows_per_session = report.rows_kept / max(1, report.sessions)
        facts.append(("sessions", f"{report.sessions:,} of {rows_per_session:.1f} rows on average"))
        facts.append(("baskets", f"{report.baskets:,} (rows of a session with the same timestamp)"))
    return facts


def _span(report: LogReport) -> str:
    first, last = report.first_time, report.last_time
    if report.timestamp_kind == ORDER:
        return f"an order from {first:,} to {last:,}"
    days = (last - first) / 86_400_000
    return f"{_date(first)} to {_date(last)} UTC, {days:,.1f} days ({report.timestamp_kind})"


def _date(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError):
        return f"{time_ms} ms"
