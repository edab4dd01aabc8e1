"""The decision: who ships and why, as a file beside the artifact that a person can be shown later.

ARTIFACT/decision.json           the decision by which this artifact was promoted; not sealed
artifacts/decision-latest.json   the newest of all, also when nothing was good enough
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from contracts.artifact import Artifact
from contracts.sections import Promotion
from export.measuring.measured import Candidate, Machine
from export.promotion.choosing import Choice, cheapest
from export.promotion.judging import Verdict, judge_all
from export.promotion.reasoning import why_it_ships, why_nothing_ships, why_refused

if TYPE_CHECKING:  # exporting loads the engine that trains
    from export.variants.attempts import Attempt


class Decision(msgspec.Struct, frozen=True):
    """Who won (nobody: None), the reason in words, and all it rests on: the rule as it was, the machine, the run
    of measuring, a verdict with its figures for every candidate.

    `version` is of the artifact that was judged, `promoted` of the one that was promoted for it: another one after
    a refit. `at` and `promoted` are filled when the decision is written.
    """

    winner: str | None
    version: str | None
    reason: str
    verdicts: list[Verdict]
    rule: Promotion | None = None
    machine: Machine | None = None
    run: str | None = None
    forced: bool = False
    promoted: str | None = None
    at: str | None = None

    def withdrawn(self, why: str) -> "Decision":
        """The same for nobody: its winner did not pass the refit, `why` says in what."""
        return replace(self, winner=None, version=None, reason=why)

    def adding(self, sentence: str) -> "Decision":
        """The same with one more sentence in its reason, as a refit has one to add."""
        return replace(self, reason=f"{self.reason} {sentence}")


def decide(
    candidates: Sequence[Candidate],
    rule: Promotion,
    only: Artifact | None = None,
    attempts: "Sequence[Attempt]" = (),
) -> Decision:
    """Apply the rule to candidates measured together; the baseline must be among them, else `UsageFault`.

    `only` asks whether that one may ship, instead of which one is the cheapest. `attempts` are the variants that
    export tried; those of the winner's run that failed are named. The order of the candidates changes nothing.
    """
    candidates = sorted(candidates, key=lambda c: (c.artifact.name, c.artifact.version))
    judgement = judge_all(candidates, rule)
    first = candidates[0].measured
    no_one = Decision(None, None, "", judgement.verdicts, rule, first.machine, first.run)
    good = [c for c in candidates if judgement.of(c).good_enough]
    asked = [c for c in good if c.artifact.version == only.version] if only else good
    if only and not asked:
        return replace(no_one, reason=why_refused(only, judgement.verdicts))
    if not asked:
        return replace(no_one, reason=why_nothing_ships(judgement))
    choice = Choice(asked[0], None, 1, {}) if only else cheapest(asked, rule.cost)
    reason = why_it_ships(candidates, judgement, choice, rule, by_name=bool(only), attempts=attempts)
    winner = choice.winner.artifact
    return replace(no_one, winner=winner.name, version=winner.version, reason=reason)


def by_hand(artifact: Artifact) -> Decision:
    """The decision of a person who promotes whatever the gate says."""
    return Decision(artifact.name, artifact.version, "forced by hand, no gate asked", [], forced=True)
