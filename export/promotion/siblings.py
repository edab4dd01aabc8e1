"""What the decision says of the other variants of the winner's run: why each does not ship instead."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from export.measuring.measured import Candidate
from export.promotion.choosing import Choice
from export.promotion.figures import ratio_of
from export.promotion.judging import Judgement, Verdict
from export.promotion.rounding import interval_of, signed, times

if TYPE_CHECKING:  # exporting loads the engine that trains
    from export.variants.attempts import Attempt

_DEARER = {
    "latency": "slower on this machine by {}x",
    "size": "larger by {}x",
    "memory": "takes {}x the memory",
    "throughput": "slower in batches by {}x",
}


def against_fp32(winner: Candidate) -> str:
    """What compression cost the winner, question by question."""
    against = winner.measured.against_fp32
    if against is None or against.version == winner.artifact.version:
        return ""
    change, metric = against.difference, winner.measured.metric
    said = "no measurable difference" if change.low <= 0 <= change.high else "a measurable difference"
    by = f"{signed(change.value)} ({interval_of(change)})"
    return f"Against {against.name} it changes {metric} by {by}: {said}."


def other_variants(
    candidates: Sequence[Candidate], judgement: Judgement, choice: Choice, attempts: "Sequence[Attempt]"
) -> str:
    """One sentence on each variant of the winner's run that does not ship, and on those that could not be made."""
    mine = choice.winner.artifact.manifest
    siblings = [c for c in candidates if c.artifact.manifest.run == mine.run and c is not choice.winner]
    siblings.sort(key=lambda c: c.artifact.manifest.variant)
    said = {c.artifact.manifest.variant: _why_not(c, judgement.of(c), choice) for c in siblings}
    for attempt in attempts:
        if attempt.run == mine.run and attempt.status != "made" and attempt.variant not in said:
            what = "failed parity" if attempt.status == "failed" else "cannot be made"
            said[attempt.variant] = f"{what} ({attempt.why.rstrip('.')})"
    told = "; ".join(f"{variant} {why}" for variant, why in sorted(said.items()) if why)
    return f"Of the same run: {told}." if told else ""


def _why_not(sibling: Candidate, verdict: Verdict, choice: Choice) -> str:
    if not verdict.good_enough:
        return verdict.why
    kind = choice.out_by.get(verdict.version)
    if kind is None:
        return "" if choice.decided_by else "refused: equal in every cost, a higher version"
    ratio = ratio_of(sibling, choice.winner, kind)
    dearer = _DEARER[kind].format(times(ratio)) if ratio and ratio > 1 else f"dearer in {kind} than the cheapest"
    return f"refused: {dearer}"
