"""What a promotion cost those who asked meanwhile: figures of one, and all of them as a Markdown table."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from loadtests.answer_log import LoggedRequest

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
    """`size` is the name of the catalog. `command_s`: what `flyweight promote` took. Seconds of `first_new_s` and
    `last_old_s` count from its end: to the first answer of the new artifact and to the last one of the old.

    Of `p99_ms` and `bad`, requests that failed or got a degraded answer, there are three: of what was due before
    the command, until the old one had answered for the last time and a moment more, and then. `why` counts what
    became of the bad ones. `over_100_ms`: how many answers took longer meanwhile.
    """

    size: int
    before: str
    after: str
    after_mb: float
    rate: float
    requests: int
    bad: tuple[int, int, int]
    why: dict[str, int]
    command_s: float
    first_new_s: float
    last_old_s: float
    p99_ms: tuple[float | None, float | None, float | None]
    slowest_ms: float
    over_100_ms: int
    memory: Memory

    @property
    def unnoticed(self) -> bool:
        """Whether nobody got anything but a good answer meanwhile."""
        return not self.bad[1]


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

    Raises `ValueError` where it never answered.
    """
    answered = [one for one in requests if one.answered is not None]
    first_new = min(one.answered for one in answered if one.version == new)
    last_old = max((one.answered for one in answered if one.version != new), default=0.0)
    settled = max(last_old, first_new) + _SETTLED_SECONDS
    phases = (
        [one for one in requests if one.due < moments.called],
        [one for one in requests if moments.called <= one.due < settled],
        [one for one in requests if settled <= one.due],
    )
    latencies = [one.latency for one in phases[1] if one.latency is not None]
    return Promotion(
        requests=len(requests),
        bad=tuple(sum(_is_bad(one) for one in due) for due in phases),
        why=dict(Counter(one.state for one in requests if _is_bad(one))),
        command_s=moments.ended - moments.called,
        first_new_s=first_new - moments.ended,
        last_old_s=last_old - moments.ended,
        p99_ms=tuple(map(_p99_ms, phases)),
        slowest_ms=max(latencies, default=0.0) * 1000,
        over_100_ms=sum(latency > 0.1 for latency in latencies),
        memory=memory,
        **names,
    )


def _is_bad(one: LoggedRequest) -> bool:
    return one.failed or one.degraded


def _p99_ms(requests: Sequence[LoggedRequest]) -> float | None:
    """Of those that were answered."""
    latencies = sorted(one.latency for one in requests if one.latency is not None)
    return latencies[len(latencies) * 99 // 100] * 1000 if latencies else None


def markdown(report: Report) -> str:
    """A row per promotion; below what became of bad requests, and how it was measured."""
    lines = [_line(_HEADINGS), _line("---" if n in (1, 2) else "---:" for n in range(len(_HEADINGS)))]
    lines += [_line(_cells(one)) for one in report.promotions]
    made = (
        f"{report.machine}, {report.cores} cores, load generator on the same ones; {report.workers} workers; "
        f"{report.seconds} s each; {report.date}; `{report.command}`."
    )
    notes = [
        f"- {one.after} of {one.size:,} items: {count:,} x {state}"
        for one in report.promotions
        for state, count in one.why.items()
    ]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), made])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(one: Promotion) -> list[str]:
    memory = one.memory
    return [
        f"{one.size:,}", one.before, one.after, f"{one.after_mb:,.0f}", f"{one.requests:,}",
        ", ".join(f"{count:,}" for count in one.bad), f"{one.command_s:.1f}",
        f"{one.first_new_s:.1f} to {one.last_old_s:.1f}",
        ", ".join("none" if ms is None else f"{ms:.1f}" for ms in one.p99_ms), f"{one.slowest_ms:,.0f}",
        f"{one.over_100_ms:,}", f"{memory.before:,.0f}, {memory.most:,.0f}, {memory.after:,.0f}",
    ]  # fmt: skip
