"""The cheapest of those that are good enough.

The costs of `[promotion] cost` decide by priority: those inside the noise of the cheapest one are tied with it,
and the next cost decides among them; at last the lower version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.measuring.measured import Candidate
from export.promotion.figures import cost_of


@dataclass(frozen=True)
class Choice:
    """The cheapest, and how it came about."""

    winner: Candidate
    decided_by: str | None
    """The cost that left one; None: equal in all."""
    tied: int
    """How many were left when that cost decided."""
    out_by: Mapping[str, str]
    """Version -> the cost by which it dropped out."""


def cheapest(good: Sequence[Candidate], costs: Sequence[str]) -> Choice:
    """Of at least one candidate, each with a figure for every cost."""
    left = sorted(good, key=lambda c: c.artifact.version)
    out_by: dict[str, str] = {}
    for kind in costs:
        held_against = len(left)
        first = min(left, key=lambda c: (cost_of(c, kind).value, c.artifact.version))
        limit = cost_of(first, kind).high
        out_by |= {c.artifact.version: kind for c in left if cost_of(c, kind).low > limit}
        left = [c for c in left if c.artifact.version not in out_by]
        if len(left) == 1:
            return Choice(left[0], kind, held_against, out_by)
    return Choice(left[0], None, len(left), out_by)
