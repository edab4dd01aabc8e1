"""What the report tells: what was measured together last, what was decided, and what gave no artifact."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contracts.artifact import Artifact, open_artifact
from contracts.faults import ArtifactFault, Fault, UsageFault
from contracts.pointer import read_pointer
from contracts.sections import Promotion, Settings
from export.measuring.candidates import measured_candidates, split_of
from export.measuring.measure import BASELINE
from export.measuring.measured import Candidate
from export.promotion.decision import Decision
from export.promotion.judging import Verdict, judge_all
from export.promotion.promoting import latest_decision
from export.variants.attempts import Attempt, read_attempts
from models.ladder import RUNGS
from models.runs import open_run
from models.splits.split import Split

VARIANTS = (
    "fp32",
    "fp16",
    "int8-dynamic",
    "int8-static",
    "jpq",
    "scann",
    "int8-rerank",
    "int4-rerank",
    "ivf",
    "jpq-ivf",
)
"""The order of a rung's rows; an unknown variant comes behind."""


@dataclass(frozen=True)
class Report:
    """What the page tells. A candidate's number is its place in `candidates`, counted from 1.

    `attempts` are the variants that gave no artifact; `split` is what the winner learned from, None where it
    was removed since; `serving` is the artifact that the pointer names now: the winner, or what a refit made
    of it, or another one.
    """

    candidates: list[Candidate]
    attempts: list[Attempt]
    decision: Decision | None
    rule: Promotion
    split: Split | None
    serving: Artifact | None

    @property
    def winner(self) -> Candidate | None:
        version = self.decision.version if self.decision else None
        return next((c for c in self.candidates if c.artifact.version == version), None)

    @property
    def baseline(self) -> Candidate:
        return next(c for c in self.candidates if c.artifact.name == BASELINE)

    @cached_property
    def best(self) -> Candidate | None:
        """Whom `max-degradation` is counted from: the most accurate that keeps the other rules, if any does."""
        return judge_all(self.candidates, self.rule).best

    @property
    def is_of_these_figures(self) -> bool:
        """Whether the decision rests on exactly the figures that are shown. A forced one rests on none."""
        return self.decision is not None and self.decision.run == self.baseline.measured.run

    @property
    def is_overtaken(self) -> bool:
        """Whether something else serves than what the decision promoted, as after a rollback."""
        promoted = self.decision.promoted if self.decision else None
        return promoted is not None and promoted != (self.serving and self.serving.version)

    @property
    def headline(self) -> str:
        """Who ships, in a few words."""
        if self.decision is None:
            return "No decision yet: flyweight promote"
        if self.is_overtaken:
            return f"{self.serving.name} serves" if self.serving else "Nothing serves"
        if self.decision.winner is None:
            return "Nothing new ships" if self.serving else "Nothing ships"
        return f"{self.decision.winner} ships"

    def number_of(self, candidate: Candidate) -> int:
        return 1 + self.candidates.index(candidate)

    def verdict_on(self, candidate: Candidate) -> Verdict | None:
        verdicts = self.decision.verdicts if self.decision and self.is_of_these_figures else []
        return next((v for v in verdicts if v.version == candidate.artifact.version), None)


def gather(settings: Settings) -> Report:
    """Everything that the page tells, read from `artifacts/` and the runs.

    Raises `UsageFault` where the artifacts that compete now were not measured together.
    """
    paths = settings.paths
    candidates = measured_candidates(paths.artifacts, settings.promotion.metric)
    candidates.sort(key=lambda c: _place_on_ladder(c.artifact.manifest.rung, c.artifact.manifest.variant))
    decision = latest_decision(paths.artifacts)
    is_of_these_figures = decision is not None and decision.run == candidates[0].measured.run
    rule = decision.rule if is_of_these_figures and decision.rule else settings.promotion
    winner = next((c for c in candidates if decision and c.artifact.version == decision.version), None)
    return Report(
        candidates,
        without_artifact(read_attempts(paths.artifacts), candidates, paths.runs),
        decision,
        rule,
        _split_of(winner.artifact, paths.runs) if winner else None,
        _serving(paths.artifacts),
    )


def without_artifact(attempts: Sequence[Attempt], candidates: Sequence[Candidate], runs: Path) -> list[Attempt]:
    """The failed and impossible variants of the log that was measured, the newest of each, in ladder order."""
    names = {c.artifact.name for c in candidates}
    of_candidates = {c.artifact.manifest.run for c in candidates}
    split = candidates[0].artifact.manifest.training.split_sha256
    of_this_log = [a for a in attempts if a.run in of_candidates or _learned_from(runs / a.run, split)]
    newest = {(a.rung, a.variant): a for a in of_this_log}
    shown = [a for (rung, variant), a in newest.items() if a.status != "made" and f"{rung}:{variant}" not in names]
    return sorted(shown, key=lambda attempt: _place_on_ladder(attempt.rung, attempt.variant))


def _place_on_ladder(rung: str, variant: str) -> tuple:
    return (
        RUNGS.index(rung) if rung in RUNGS else len(RUNGS), rung,
        VARIANTS.index(variant) if variant in VARIANTS else len(VARIANTS), variant,
    )  # fmt: skip


def _learned_from(run: Path, split_sha256: str) -> bool:
    try:
        return open_run(run).description.split_sha256 == split_sha256
    except UsageFault:  # removed since, or of another version
        return False


def _serving(artifacts: Path) -> Artifact | None:
    try:
        path = read_pointer(artifacts)
        return open_artifact(path, verify=False) if path else None
    except ArtifactFault:  # the page is about the figures; serving has its own alarm for this
        return None


def _split_of(artifact: Artifact, runs: Path) -> Split | None:
    try:
        return split_of(artifact, runs)
    except Fault:  # the run or its split was removed or replaced: the card says less then
        return None
