"""The promotion step: the cheapest artifact that is good enough ships, with the reason in writing.

Good enough: better than popularity by more than `min-improvement` percent with 95 % confidence, and at most
`max-degradation` percent below the best of those. Popularity itself need not beat itself: it competes, and
ships when nothing beats it. Of the good enough the lowest median latency wins; inside the spread of the
rounds is a tie, and the smaller one wins.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from contracts import durable
from contracts.artifact import Artifact, open_artifact
from contracts.faults import ArtifactFault, UsageFault
from contracts.pointer import move_pointer, place_under, read_pointer
from contracts.sections import Promotion
from export.bundle import refresh_bundle
from export.measuring import BASELINE, Candidate

RECORD = "promotions.json"
ROLLED_BACK = "rolled back"


class Verdict(msgspec.Struct, frozen=True):
    """Why one candidate may ship or may not."""

    name: str
    version: str
    good_enough: bool
    why: str


class Decision(msgspec.Struct, frozen=True):
    """Who won (nobody: None), and the reason in words."""

    winner: str | None
    version: str | None
    reason: str
    verdicts: list[Verdict]


class Entry(msgspec.Struct, frozen=True):
    """One line of the history of promotions; paths are relative to `artifacts/`."""

    at: str
    action: str
    artifact: str
    previous: str | None
    reason: str


def decide(candidates: Sequence[Candidate], rule: Promotion, only: Artifact | None = None) -> Decision:
    """Apply the rule to measured candidates; the baseline must be among them.

    `only` asks whether that one may ship, instead of which one is the cheapest.
    """
    baseline = next(c for c in candidates if c.artifact.name == BASELINE)
    proven = [c for c in candidates if c is baseline or _beats(c, baseline, rule)]
    best = max(proven, key=lambda c: c.quality.value)
    verdicts = [judge(candidate, baseline, best, rule) for candidate in candidates]
    good = [c for c, verdict in zip(candidates, verdicts, strict=True) if verdict.good_enough]
    if only:
        good = [c for c in good if c.artifact.version == only.version]
        if not good:
            unknown = "it was not measured with the others, see `flyweight measure`"
            why = next((v.why for v in verdicts if v.version == only.version), unknown)
            return Decision(None, None, f"{only.name} {only.version} does not ship: {why}.", verdicts)
    winner = _cheapest(good)  # the best is always among them
    chosen = "good enough" if only else f"the cheapest of {len(good)} good enough"
    rivals = [c for c in candidates if c is not baseline]
    if best is baseline and rivals:
        reason = _explain_baseline(baseline, max(rivals, key=lambda c: c.quality.value), rule)
    else:
        reason = _explain(winner, baseline, best, chosen, rule)
    return Decision(winner.artifact.name, winner.artifact.version, reason, verdicts)


def judge(candidate: Candidate, baseline: Candidate, best: Candidate, rule: Promotion) -> Verdict:
    """Whether one candidate is good enough. `min-improvement` does not bind the baseline itself."""
    given_up = _percent_below(candidate, best)
    if candidate is not baseline and not _beats(candidate, baseline, rule):
        gain = candidate.measured.against_baseline.difference
        interval = f"{gain.low:+.4f} to {gain.high:+.4f}"
        needed = f"above {_needed(baseline, rule):+.4f} is asked for"
        good, why = False, f"refused: gains {interval} over popularity (95 %), {needed}"
    elif given_up > rule.max_degradation:
        good, why = False, f"refused: {given_up:.1f} % below the best, {rule.max_degradation:g} % is allowed"
    else:
        good, why = True, f"good enough: {given_up:.1f} % below the best"
    return Verdict(candidate.artifact.name, candidate.artifact.version, good, why)


def _cheapest(good: Sequence[Candidate]) -> Candidate:
    """The fastest; those whose rounds overlap with the fastest one's are a tie, and the smallest of them wins."""
    fastest = min(good, key=lambda c: c.p50_ms)
    ties = [c for c in good if c.latency.low_ms <= fastest.latency.high_ms]
    return min(ties, key=lambda c: c.artifact.size_bytes)


def _beats(candidate: Candidate, baseline: Candidate, rule: Promotion) -> bool:
    return candidate.measured.against_baseline.difference.low > _needed(baseline, rule)


def _needed(baseline: Candidate, rule: Promotion) -> float:
    return rule.min_improvement / 100 * baseline.quality.value


def _percent_below(candidate: Candidate, best: Candidate) -> float:
    if best.quality.value == 0:
        return 0.0
    return 100 * (1 - candidate.quality.value / best.quality.value)


def _cost(candidate: Candidate) -> str:
    latency, size_mb = candidate.latency, candidate.artifact.size_bytes / 1e6
    what = "prediction" if latency.batch_size == 1 else f"batch of {latency.batch_size}"
    return f"{latency.p50_ms:.3f} ms per {what} (median, one thread), {size_mb:.2f} MB"


def _explain_baseline(baseline: Candidate, rival: Candidate, rule: Promotion) -> str:
    """Why popularity itself ships; `rival` came highest of the others."""
    margin = f" by more than {rule.min_improvement:g} %" if rule.min_improvement else ""
    gain = rival.measured.against_baseline.difference
    return (
        f"{baseline.artifact.name} ships because nothing measured beats it with confidence{margin}: the next, "
        f"{rival.artifact.name}, reaches {rival.measured.metric} {rival.quality.value:.4f} against "
        f"{baseline.quality.value:.4f} ({gain.low:+.4f} to {gain.high:+.4f}). It costs {_cost(baseline)}."
    )


def _explain(winner: Candidate, baseline: Candidate, best: Candidate, chosen: str, rule: Promotion) -> str:
    """One paragraph for whoever has to answer for the launch."""
    metric, name = winner.measured.metric, winner.artifact.name
    sentences = [
        f"{name} ships: {chosen}, with {metric} {winner.quality.value:.4f} "
        f"(95 % interval {winner.quality.low:.4f} to {winner.quality.high:.4f}) at {_cost(winner)}."
    ]
    if winner is not baseline:
        gain = winner.measured.against_baseline.difference
        sentences.append(f"It beats popularity by {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}).")
    if winner is not best:
        sentences.append(
            f"It gives up {_percent_below(winner, best):.1f} % against the best, {best.artifact.name} "
            f"({best.quality.value:.4f}), where {rule.max_degradation:g} % is allowed; that one takes "
            f"{best.p50_ms / winner.p50_ms:.1f} times as long and "
            f"{best.artifact.size_bytes / winner.artifact.size_bytes:.1f} times the space."
        )
    return " ".join(sentences)


def promote(artifacts: Path, bundle: Path, artifact: Artifact, reason: str, *, forced: bool = False) -> Entry:
    """Record the decision, refresh the bundle, then move the pointer to `artifact`."""
    with durable.lock(artifacts / ".promote.lock"):
        return _move(artifacts, bundle, artifact, "forced" if forced else "promoted", reason)


def rollback(artifacts: Path, bundle: Path) -> Entry:
    """Return to the artifact that served before the promoted one, and record it."""
    with durable.lock(artifacts / ".promote.lock"):
        current = _current(artifacts)
        served = _served(read_record(artifacts), current)
        if len(served) < 2:
            raise UsageFault(
                f"there is nothing to roll back to: {artifacts / RECORD} names no artifact before "
                f"{current or 'the first promotion'}. Promote one by name: `flyweight promote ARTIFACT`."
            )
        artifact = open_artifact(artifacts / served[-2])
        return _move(artifacts, bundle, artifact, ROLLED_BACK, f"rolled back from {current}")


def _served(entries: Sequence[Entry], current: str | None) -> list[str]:
    """What served, oldest first, up to now; what was rolled back is gone from the end.

    An entry counts only if the pointer moved, as the next entry or `current` shows.
    """
    served: list[str] = []
    then = [*(entry.previous for entry in entries[1:]), current]
    for entry, now in zip(entries, then, strict=False):
        if now != entry.artifact:
            continue
        if entry.action == ROLLED_BACK:
            del served[-1:]
        if served[-1:] != [now]:
            served.append(now)
    return served


def _current(artifacts: Path) -> str | None:
    current = read_pointer(artifacts)
    return os.path.relpath(current, artifacts) if current else None


def _move(artifacts: Path, bundle: Path, artifact: Artifact, action: str, reason: str) -> Entry:
    """The pointer last: killed before it moved, all of this can be done again; killed after it, all is done.
    What is done again is recorded again."""
    place = place_under(artifacts, artifact.path)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    entry = Entry(at, action, place, _current(artifacts), reason)
    _write_record(artifacts, [*read_record(artifacts), entry])
    refresh_bundle(bundle, artifact)
    move_pointer(artifacts, artifact.path)
    return entry


def read_record(artifacts: Path) -> list[Entry]:
    """The history of promotions, oldest first."""
    try:
        return msgspec.json.decode((artifacts / RECORD).read_bytes(), type=list[Entry])
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArtifactFault(
            f"{artifacts / RECORD} is damaged: {error}. Move it away to start a new one."
        ) from error


def _write_record(artifacts: Path, entries: list[Entry]) -> None:
    content = msgspec.json.format(msgspec.json.encode(entries), indent=2)
    durable.write_bytes(artifacts / RECORD, content)
