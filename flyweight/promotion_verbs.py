"""Verbs about what serves: promote, rollback."""

import click

from contracts.faults import UsageFault
from flyweight.tables import verdict_table
from flyweight.verb import Desk, Outcome, verb


@verb()
@click.argument("artifact", required=False)
@click.option("--force", is_flag=True, help="Promote ARTIFACT whatever the gate says; recorded as such.")
def promote(desk: Desk, artifact: str | None, force: bool) -> Outcome:
    """Let the cheapest artifact that is good enough serve, and write down why.

    With ARTIFACT only that one is judged: exit code 1 when it is not good enough. A running service
    follows within a second or two; `bundle/` is refreshed for `bentoml build`.
    """
    from contracts.pointer import POINTER, find_artifact
    from export.candidates import measured_candidates
    from export.promotion import decide, promote

    paths = desk.settings.paths
    if force and not artifact:
        raise UsageFault("--force needs the ARTIFACT to promote.")
    if force:
        winner, reason, decision = find_artifact(paths.artifacts, artifact), "forced by hand, no gate asked", None
    else:
        candidates = measured_candidates(paths.artifacts, desk.settings.promotion.metric)
        decision = decide(
            candidates, desk.settings.promotion, only=artifact and find_artifact(paths.artifacts, artifact)
        )
        desk.out.say(verdict_table(decision.verdicts))
        desk.out.say(decision.reason)
        if decision.winner is None:
            return Outcome(decision, 1)
        winner = next(c.artifact for c in candidates if c.artifact.version == decision.version)
        reason = decision.reason
    entry = promote(paths.artifacts, paths.bundle, winner, reason, forced=force)
    desk.out.wrote(paths.artifacts / POINTER, f"{entry.artifact} (before: {entry.previous or 'nothing'})")
    desk.out.wrote(paths.bundle, "what `bentoml build` packs")
    return Outcome({"promoted": entry, "decision": decision})


@verb()
def rollback(desk: Desk) -> Outcome:
    """Return to the artifact that served before the promoted one."""
    from contracts.pointer import POINTER
    from export.promotion import rollback

    paths = desk.settings.paths
    entry = rollback(paths.artifacts, paths.bundle)
    desk.out.wrote(paths.artifacts / POINTER, f"{entry.artifact} (before: {entry.previous})")
    return Outcome({"promoted": entry})
