"""Which artifacts compete: those trained on the same split, the newest of each name, unless it failed since."""

from collections.abc import Sequence
from pathlib import Path

from contracts.artifact import Artifact, open_artifact, sealed_artifacts
from contracts.faults import UsageFault
from contracts.pointer import find_artifact
from export.measuring.measure import BASELINE, refuse_without_baseline
from export.measuring.measured import Candidate, read_measured
from export.variants.attempts import read_attempts
from models.runs import open_run
from models.splits.split import Split, open_split


def choose_candidates(artifacts: Path, references: Sequence[str]) -> list[Artifact]:
    """The artifacts that were named and their baseline; unnamed, all that compete with the newest one."""
    if references:
        found = [find_artifact(artifacts, reference) for reference in references]
        named = list({artifact.version: artifact for artifact in found}.values())
        rivals = [] if any(a.name == BASELINE for a in named) else _competing(artifacts, _split_sha256(named[0]))
        return [*(a for a in rivals if a.name == BASELINE), *named]
    trained = [a for a in sealed_artifacts(artifacts) if a.manifest.training and not a.manifest.figures_of]
    if not trained:
        raise UsageFault(
            f"{artifacts} holds no artifact of a trained run. Run `flyweight train` and `flyweight export` first."
        )
    return _competing(artifacts, _split_sha256(trained[-1]))


def measured_candidates(artifacts: Path, metric: str) -> list[Candidate]:
    """What this machine measured together last, of the artifacts that compete now, to be judged by `metric`."""
    chosen = choose_candidates(artifacts, ())
    measured = [read_measured(artifact) for artifact in chosen]
    runs = {m.run if m else None for m in measured}
    if len(runs) != 1 or None in runs:
        missing = [a.name for a, m in zip(chosen, measured, strict=True) if m is None]
        raise UsageFault(
            f"the artifacts {', '.join(a.name for a in chosen)} were not measured together on this machine "
            f"(no figures: {', '.join(missing) or 'none missing, but from different runs'}). "
            "Run `flyweight measure`."
        )
    judged_by = measured[0].metric
    if judged_by != metric:
        raise UsageFault(
            f"the artifacts were compared by {judged_by}, [promotion] metric is {metric}. Run `flyweight measure`."
        )
    refuse_without_baseline(chosen)
    return [Candidate(a, m) for a, m in zip(chosen, measured, strict=True)]


def split_of(artifact: Artifact, runs: Path) -> Split:
    """The split an artifact was trained on. Raises `UsageFault` for random weights, which saw none."""
    if artifact.manifest.training is None:
        raise UsageFault(f"{artifact.path} is untrained: its quality cannot be measured. Leave it out.")
    return open_split(open_run(runs / artifact.manifest.run).split_folder())


def _competing(artifacts: Path, split_sha256: str) -> list[Artifact]:
    """A refit carries another's figures: it is no candidate. Neither is what was sealed before the last export of
    its name failed."""
    sealed = [a for a in sealed_artifacts(artifacts) if not a.manifest.figures_of]
    of_split = [a for a in sealed if _split_sha256(a) == split_sha256]
    failed = _failed_last(artifacts, {a.manifest.run for a in of_split})
    newest = {a.name: a for a in of_split if a.name not in failed}
    return [open_artifact(artifact.path) for artifact in newest.values()]


def _failed_last(artifacts: Path, runs: set[str]) -> set[str]:
    """The names of which the newest attempt in `runs` gave no artifact."""
    attempts = {f"{a.rung}:{a.variant}": a for a in read_attempts(artifacts) if a.run in runs}
    return {name for name, attempt in attempts.items() if attempt.status != "made"}


def _split_sha256(artifact: Artifact) -> str:
    return artifact.manifest.training.split_sha256 if artifact.manifest.training else ""
