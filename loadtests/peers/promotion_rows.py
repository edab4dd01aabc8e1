"""What a promotion cost those who asked meanwhile: figures of one, and all of them as a Markdown table."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from contracts.faults import RunNotValid
from loadtests.answer_log import LoggedRequest, percentile_ms
from loadtests.long_runs import table_row
from loadtests.session import ANSWER_TIMEOUT_SECONDS

_SETTLED_SECONDS = 1.0
"""After the last answer of the artifact before; what comes later is an ordinary day again."""
_HEADINGS = (
    "items", "before", "after", "MB", "requests", "failed or degraded before, meanwhile, afterwards", "command s",
    "served after s", "p99 before, meanwhile, afterwards ms", "slowest meanwhile ms", "over 100 ms",
    "PSS before, at most, afterwards MB",
)  # fmt: skip


class Memory(msgspec.Struct, frozen=True):
    """PSS of all processes of the service in MB of 10^6 bytes: before, the most meanwhile, at the end."""

    before: float
    most: float
    after: float


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """`size` is the name of the catalog. Seconds count from the call of `flyweight promote`: until it had ended,
    to the first answer of the new artifact, and to the last one of the old.

    `bad` are requests that failed or got a degraded answer, `why` counts what became of them. Of `bad` and
    `p99_ms` there are three: of those who had their answer before the call; of those who asked or waited between
    it and a second after the last answer of the old one; and of those who asked later. `slowest_ms` and
    `over_100_ms`, how many waited longer, are of the second. Who got no answer waits for ever: None.
    `refused_calls`: of /events.
    """

    size: int
    before: str
    after: str
    after_mb: float
    rate: float
    requests: int
    bad: tuple[int, int, int]
    why: dict[str, int]
    refused_calls: int
    command_s: float
    first_new_s: float
    last_old_s: float
    p99_ms: tuple[float | None, float | None, float | None]
    slowest_ms: float | None
    over_100_ms: int
    memory: Memory

    @property
    def unnoticed(self) -> bool:
        """Whether nobody got anything but a good answer meanwhile, and every event was taken."""
        return not self.bad[1] and not self.refused_calls


class Report(msgspec.Struct):
    """The content of `reports/promotions.json`. `date` is the day of the run in UTC."""

    machine: str
    cores: int
    workers: int
    date: str
    command: str
    seconds: int
    promotions: list[Promotion]


class Moments(msgspec.Struct, frozen=True):
    """Seconds since the load began: when `flyweight promote` was called, and when it had ended."""

    called: float
    ended: float


def examine(requests: Sequence[LoggedRequest], new: str, moments: Moments, memory: Memory, **names) -> Promotion:
    """`new` is the version that was promoted; `names` are the fields of `Promotion` that say what it was.

    Raises `RunNotValid` where it never answered.
    """
    called, answered = moments.called, [one for one in requests if one.answered is not None]
    by_new = [one.answered for one in answered if one.version == new]
    if not by_new:
        raise RunNotValid(f"{new} never answered while the load ran. Ask for more --seconds.")
    last_old = max((one.answered for one in answered if one.version != new), default=called)
    settled = max(last_old, min(by_new)) + _SETTLED_SECONDS
    phases = (
        [one for one in requests if _gone_by(one) < called],
        [one for one in requests if called <= _gone_by(one) and one.due < settled],
        [one for one in requests if settled <= one.due],
    )
    return Promotion(
        requests=len(requests),
        bad=tuple(sum(_is_bad(one) for one in due) for due in phases),
        why=dict(Counter(one.state for one in requests if _is_bad(one))),
        command_s=moments.ended - called,
        first_new_s=min(by_new) - called,
        last_old_s=last_old - called,
        p99_ms=tuple(percentile_ms(due, 0.99) for due in phases),
        slowest_ms=percentile_ms(phases[1], 1.0),
        over_100_ms=sum(one.wait > 0.1 for one in phases[1]),
        memory=memory,
        **names,
    )


def _is_bad(one: LoggedRequest) -> bool:
    return one.failed or one.degraded


def _gone_by(one: LoggedRequest) -> float:
    """Who got no answer may have waited for it as long as anybody does."""
    return one.due + min(one.wait, ANSWER_TIMEOUT_SECONDS)


def markdown(report: Report) -> str:
    """A row per promotion; below what became of bad requests, and how it was measured."""
    lines = [table_row(_HEADINGS), table_row("---" if n in (1, 2) else "---:" for n in range(len(_HEADINGS)))]
    lines += [table_row(_cells(one)) for one in report.promotions]
    made = (
        f"{report.machine}, {report.cores} cores, load generator on the same ones; {report.workers} workers; "
        f"{report.seconds} s each; {report.date}; `{report.command}`."
    )
    notes = [
        f"- {one.after} of {one.size:,} items: {count:,} x {state}"
        for one in report.promotions
        for state, count in (one.why | {"a call of /events refused": one.refused_calls}).items()
        if count
    ]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), made])


def _cells(one: Promotion) -> list[str]:
    memory = one.memory
    return [
        f"{one.size:,}", one.before, one.after, f"{one.after_mb:,.0f}", f"{one.requests:,}",
        ", ".join(f"{count:,}" for count in one.bad), f"{one.command_s:.1f}",
        f"{one.first_new_s:.1f} to {one.last_old_s:.1f}", ", ".join(_cell(ms, 1) for ms in one.p99_ms),
        _cell(one.slowest_ms, 0), f"{one.over_100_ms:,}",
        f"{memory.before:,.0f}, {memory.most:,.0f}, {memory.after:,.0f}",
    ]  # fmt: skip


def _cell(ms: float | None, digits: int) -> str:
    return "none" if ms is None else f"{ms:,.{digits}f}"
