"""Verbs about what serves: promote, rollback."""

from typing import TYPE_CHECKING

import click

from contracts.artifact import Artifact
from contracts.faults import UsageFault, VerdictIsNo
from flyweight.tables import verdict_table
from flyweight.verb import Desk, Outcome, verb

if TYPE_CHECKING:
    from export.promotion.decision import Decision


@verb()
@click.argument("artifact", required=False)
@click.option("--force", is_flag=True, help="Promote ARTIFACT whatever the gate says; recorded as such.")
def promote(desk: Desk, artifact: str | None, force: bool) -> Outcome:
    """Let the cheapest artifact that is good enough serve, and write down why.

    With ARTIFACT only that one is judged. Exit code 1 when nothing is good enough; the nearest miss is named, and
    what served before serves on. The winner is trained again as `[training] refit` says, and checked again; one
    that is forced is taken as it is. A running service follows within a second or two; `bundle/` is refreshed
    for `bentoml build`.
    """
    from contracts.pointer import POINTER, find_artifact
    from export.promotion.decision import by_hand
    from export.promotion.promoting import DECISION, promote

    paths = desk.settings.paths
    if force and not artifact:
        raise UsageFault("--force needs the ARTIFACT to promote.")
    if force:
        winner = find_artifact(paths.artifacts, artifact)
        decision = by_hand(winner)
        how = "as it is, not trained again" if winner.manifest.training else "with random weights"
        desk.out.say(f"{winner.name} {winner.version} ships {how}: {decision.reason}.")
    else:
        winner, decision = _decide(desk, artifact)
        if winner is None:
            return Outcome(decision, 1)
        winner, decision = _refit(desk, winner, decision)
    entry = promote(paths.artifacts, paths.bundle, winner, decision)
    desk.out.wrote(winner.path / DECISION, "the decision with its figures")
    desk.out.wrote(paths.artifacts / POINTER, f"{entry.artifact} (before: {entry.previous or 'nothing'})")
    desk.out.wrote(paths.bundle, "what `bentoml build` packs")
    return Outcome({"promoted": entry, "decision": None if force else decision})


def _decide(desk: Desk, reference: str | None) -> "tuple[Artifact | None, Decision]":
    """The winner (None: nobody) and the decision, said aloud. A decision for nobody is written down here."""
    from contracts.pointer import find_artifact, read_pointer
    from export.measuring.candidates import measured_candidates
    from export.promotion.decision import decide
    from export.promotion.promoting import LATEST, write_decision
    from export.variants.attempts import read_attempts

    artifacts, rule = desk.settings.paths.artifacts, desk.settings.promotion
    candidates = measured_candidates(artifacts, rule.metric)
    only = next((c.artifact for c in candidates if c.artifact.name == reference), None)
    if reference and not only:  # a name means the one that competes, not a newer one of another log
        only = find_artifact(artifacts, reference)
    decision = decide(candidates, rule, only, read_attempts(artifacts))
    desk.out.say(verdict_table(decision.verdicts))
    desk.out.say(decision.reason)
    if decision.winner is None:
        write_decision(artifacts, decision, promoted=None)
        desk.out.wrote(artifacts / LATEST, "the decision with its figures")
        if serving := read_pointer(artifacts):
            desk.out.say(f"{serving.name} serves on, as before.")
        return None, decision
    return next(c.artifact for c in candidates if c.artifact.version == decision.version), decision


def _refit(desk: Desk, winner: Artifact, decision: "Decision") -> "tuple[Artifact, Decision]":
    """What should serve for `winner`, and the decision with what is to be said of it. A decision that the refit
    overturns is written down as one for nobody."""
    from export.promotion.promoting import write_decision
    from export.promotion.refitting import refit_winner

    try:
        refitted, sentence = refit_winner(winner, desk.settings, desk.out.progress)
    except VerdictIsNo as no:
        write_decision(desk.settings.paths.artifacts, decision.withdrawn(str(no)), promoted=None)
        raise
    if not sentence:
        return refitted, decision
    desk.out.say(sentence)
    return refitted, decision.adding(sentence)


@verb()
def rollback(desk: Desk) -> Outcome:
    """Return to the artifact that served before the promoted one."""
    from contracts.pointer import POINTER
    from export.promotion.promoting import rollback

    paths = desk.settings.paths
    entry = rollback(paths.artifacts, paths.bundle)
    desk.out.wrote(paths.artifacts / POINTER, f"{entry.artifact} (before: {entry.previous})")
    desk.out.wrote(paths.bundle, "what `bentoml build` packs")
    return Outcome({"promoted": entry})
