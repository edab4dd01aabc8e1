"""The promotion step: the cheapest artifact that is good enough ships, with the reason in writing.

Good enough: at most `max-degradation` percent below the best, and better than popularity by more than
`min-improvement` percent with 95 % confidence. Among those the lowest median latency wins; inside the
spread of the rounds is a tie, and the smaller one wins. Popularity itself ships when nothing beats it.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from contracts import durable
from contracts.artifact import Artifact, open_artifact
from contracts.faults import ArtifactFault, UsageFault
from contracts.pointer import move_pointer, read_pointer
from contracts.sections import Promotion
from export.bundle import refresh_bundle
from export.measuring import BASELINE, Candidate

RECORD = "promotions.json"


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
    best = max(candidates, key=lambda c: c.quality.value)
    baseline = next(c for c in candidates if c.artifact.name == BASELINE)
    verdicts = [judge(candidate, baseline, best, rule) for candidate in candidates]
    good = [c for c, verdict in zip(candidates, verdicts, strict=True) if verdict.good_enough]
    if only:
        good = [c for c in good if c.artifact.version == only.version]
        if not good:
            return Decision(
                None, None, f"{only.name} {only.version} is not good enough or not measured.", verdicts
            )
    winner = _cheapest(good) if good else baseline
    reason = _explain(winner, baseline, best, len(good), rule)
    return Decision(winner.artifact.name, winner.artifact.version, reason, verdicts)


def judge(candidate: Candidate, baseline: Candidate, best: Candidate, rule: Promotion) -> Verdict:
    """Whether one candidate is good enough. `min-improvement` does not bind the baseline itself."""
    given_up = _percent_below(candidate, best)
    gain = candidate.measured.against_baseline.difference
    needed = rule.min_improvement / 100 * baseline.quality.value
    if given_up > rule.max_degradation:
        good, why = False, f"refused: {given_up:.1f} % below the best, {rule.max_degradation:g} % is allowed"
    elif candidate is not baseline and gain.low <= needed:
        interval = f"{gain.low:+.4f} to {gain.high:+.4f}"
        good, why = (
            False,
            f"refused: gains {interval} over popularity (95 %), above {needed:+.4f} is asked for",
        )
    else:
        good, why = True, f"good enough: {given_up:.1f} % below the best"
    return Verdict(candidate.artifact.name, candidate.artifact.version, good, why)


def _cheapest(good: Sequence[Candidate]) -> Candidate:
    """The fastest; those whose rounds overlap with the fastest one's are a tie, and the smallest of them wins."""
    fastest = min(good, key=lambda c: c.p50_ms)
    ties = [c for c in good if c.measured.latency[0].low_ms <= fastest.measured.latency[0].high_ms]
    return min(ties, key=lambda c: c.artifact.size_bytes)


def _percent_below(candidate: Candidate, best: Candidate) -> float:
    if best.quality.value == 0:
        return 0.0
    return 100 * (1 - candidate.quality.value / best.quality.value)


def _explain(winner: Candidate, baseline: Candidate, best: Candidate, good: int, rule: Promotion) -> str:
    """One paragraph for whoever has to answer for the launch."""
    metric, name = winner.measured.metric, winner.artifact.name
    cost = f"{winner.p50_ms:.3f} ms per prediction (median, one thread), {winner.artifact.size_bytes / 1e6:.2f} MB"
    if not good:
        return (
            f"{name} ships because nothing measured beats it with confidence: the best, {best.artifact.name}, "
            f"reaches {metric} {best.quality.value:.4f} against {baseline.quality.value:.4f}. It costs {cost}."
        )
    sentences = [
        f"{name} ships: the cheapest of {good} good enough, with {metric} {winner.quality.value:.4f} "
        f"(95 % interval {winner.quality.low:.4f} to {winner.quality.high:.4f}) at {cost}."
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
        current = read_pointer(artifacts)
        promotions = [e for e in read_record(artifacts) if e.action != "rolled back"]
        before = next(
            (e.previous for e in reversed(promotions) if current and e.artifact == current.name != e.previous),
            None,
        )
        if not before:
            raise UsageFault(
                f"there is nothing to roll back to: {artifacts / RECORD} names no artifact before "
                f"{current.name if current else 'the first promotion'}. "
                "Promote one by name: `flyweight promote ARTIFACT`."
            )
        artifact = open_artifact(artifacts / before)
        return _move(artifacts, bundle, artifact, "rolled back", f"rolled back from {current.name}")


def _move(artifacts: Path, bundle: Path, artifact: Artifact, action: str, reason: str) -> Entry:
    """The pointer last: killed before it moved, all of this can be done again; killed after it, all is done.
    What is done again is recorded again."""
    current = read_pointer(artifacts)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    entry = Entry(at, action, artifact.path.name, current.name if current else None, reason)
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
