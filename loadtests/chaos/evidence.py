"""What came of a row: counted from what the load wrote down and from what Redis holds, and held to its limits."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from loadtests.answer_log import LoggedRequest, percentile_ms
from loadtests.chaos.rows import AT_MOST_HELD, Limits
from loadtests.chaos.site import Proof
from loadtests.verdict import Verdict

_AFTER_SECONDS = 1.5
"""So long must requests be due after the fault."""
_SAME_CAUSE_SECONDS = 1.0
"""Between one degraded answer and the next."""


class Window(msgspec.Struct, frozen=True):
    """When the fault was, in seconds since the load began."""

    begin: float
    end: float


class Outcome(msgspec.Struct, frozen=True):
    """One line of the table. Requests are those of /predict, also those that measure freshness.

    `begun`: intended; `logged`: of which it is known what became of them. `in_window`: due during the fault;
    `after_s`: for how long they were due after it. `degraded`: share of the answers to those in the window;
    `p50_ms`, `p99_ms`: of the same, None where too many failed; `longest_ms`: of all.

    `first_good_s`, `last_degraded_s`: from the end of the fault to the first answer to a known user that is not
    degraded, and to the last that is. `missing` and `twice`: see `loadtests.chaos.rows.Limits`. `broken`: limits
    that were not kept, in words; `breaks`: the one that a control is there to break.
    """

    row: str
    what: str
    control_of: str | None
    window: Window
    proof: dict[str, object]
    begun: int
    logged: int
    in_window: int
    after_s: float
    failed: int
    failures: dict[str, int]
    degraded: float
    p50_ms: float | None
    p99_ms: float | None
    longest_ms: float
    first_good_s: float | None
    last_degraded_s: float | None
    versions: int
    events_sent: int
    events_refused: int
    events_accepted: int
    missing: int
    twice: int
    freshness_ms: dict[str, float | None]
    reflected: int
    clicked: int
    stale: int
    breaks: str | None
    broken: dict[str, str]

    @property
    def as_expected(self) -> bool:
        """A row keeps its limits; a control breaks the one that it is there to break."""
        return self.breaks in self.broken if self.breaks else not self.broken


def examine(
    requests: Sequence[LoggedRequest],
    verdict: Verdict,
    accepted: Mapping[str, float],
    recorded: Counter[str],
    window: Window,
    proof: Proof,
    limits: Limits,
    **named: object,
) -> Outcome:
    """`accepted`: ids answered 202. `recorded`: ids in Redis afterwards, and how often. `named`: row, what, …"""
    during = [one for one in requests if window.begin <= one.due < window.end]
    answered = [one for one in during if not one.failed]
    events = verdict.events
    found = Outcome(
        window=window,
        proof=proof,
        begun=verdict.counts.begun + events.counts.asked,
        logged=len(requests),
        in_window=len(during),
        after_s=max((one.due for one in requests), default=0.0) - window.end,
        failed=sum(one.failed for one in requests),
        failures=dict(Counter(one.state for one in requests if one.failed)),
        degraded=sum(one.degraded for one in answered) / max(len(answered), 1),
        p50_ms=percentile_ms(during, 0.5),
        p99_ms=percentile_ms(during, 0.99),
        longest_ms=1000 * max((one.latency for one in requests if one.latency is not None), default=0.0),
        first_good_s=_first_good(requests, window),
        last_degraded_s=_last_degraded(requests, window),
        versions=len({one.version for one in requests if not one.failed}),
        events_sent=events.counts.sent,
        events_refused=sum(events.counts.refused.values()),
        events_accepted=len(accepted),
        missing=len(accepted.keys() - recorded.keys()),
        twice=sum(number > 1 for number in recorded.values()),
        freshness_ms=events.freshness_ms,
        reflected=events.counts.reflected,
        clicked=events.counts.clicked,
        stale=events.counts.stale,
        broken={},
        **named,
    )
    return msgspec.structs.replace(found, broken=_broken(found, limits))


def _first_good(requests: Sequence[LoggedRequest], window: Window) -> float | None:
    """Users without a history are answered well whatever happens, so they tell nothing."""
    good = [one.answered for one in requests if one.known and not one.failed and not one.degraded]
    return min((moment - window.end for moment in good if moment >= window.end), default=None)


def _last_degraded(requests: Sequence[LoggedRequest], window: Window) -> float | None:
    """None where no answer after the end of the fault is degraded. What comes a second later has another cause."""
    last = None
    for moment in sorted(one.answered - window.end for one in requests if one.degraded):
        if 0 < moment < (last or 0.0) + _SAME_CAUSE_SECONDS:
            last = moment
    return last


def _broken(found: Outcome, limits: Limits) -> dict[str, str]:
    """Name of the limit -> what was found in words."""
    most_failed = found.proof.get("connections on it", 0) if limits.failed == AT_MOST_HELD else limits.failed
    nothing = math.inf if found.in_window else 0.0
    p50_ms, p99_ms = (nothing if ms is None else ms for ms in (found.p50_ms, found.p99_ms))
    fresh_ms = found.freshness_ms.get("p99") or math.inf
    last_s = found.last_degraded_s or 0.0
    wrong = [
        ("begun", found.logged != found.begun, f"of {found.begun - found.logged:,} requests nothing is known"),
        ("hit", not found.in_window or found.proof.get("hit") is False, "the fault did not hit"),
        ("after", found.after_s < _AFTER_SECONDS, "the load ended before it could be seen how the fault ends"),
        ("accepted", not found.events_accepted, "no event was taken"),
        (
            "failed",
            _exceeds(found.failed, most_failed),
            f"{found.failed:,} requests failed, allowed {most_failed}",
        ),
        ("missing", _exceeds(found.missing, limits.missing), f"{found.missing:,} events answered 202 are missing"),
        ("twice", _exceeds(found.twice, limits.twice), f"{found.twice:,} events count twice"),
        ("stale", _exceeds(found.stale, limits.stale), f"{found.stale:,} next answers without the click"),
        ("p50_ms", _exceeds(p50_ms, limits.p50_ms), f"p50 {p50_ms:,.0f} ms, allowed {limits.p50_ms}"),
        ("p99_ms", _exceeds(p99_ms, limits.p99_ms), f"p99 {p99_ms:,.0f} ms, allowed {limits.p99_ms}"),
        ("degraded", _exceeds(found.degraded, limits.degraded), f"{found.degraded:.1%} of the answers degraded"),
        ("recover_s", _exceeds(last_s, limits.recover_s), f"degraded for {last_s:.2f} s after the fault"),
        ("versions", found.versions > limits.versions, f"{found.versions} artifacts answered"),
        ("freshness", _exceeds(fresh_ms, limits.freshness_p99_ms), f"freshness p99 {fresh_ms:.1f} ms"),
    ]
    return {name: words for name, is_wrong, words in wrong if is_wrong}


def _exceeds(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit
