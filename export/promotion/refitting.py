"""The winner learns once more from more of the log, and is checked again before it may serve."""

from contracts.artifact import Artifact, open_artifact
from contracts.faults import RunNotValid, UsageFault, VerdictIsNo
from contracts.progress import Progress, silent
from contracts.sections import Settings
from contracts.thresholds import THROUGHPUT
from export.exporting import export_run
from export.measuring.footprint import footprint_of
from export.measuring.latency import Latency, time_side_by_side
from export.measuring.measure import THREADS
from export.promotion.figures import costs_of
from export.promotion.rounding import short
from models.runs import Run, open_run
from models.splits.split import open_split
from models.training import refit
from service.predictor import OnnxPredictor


def refit_winner(winner: Artifact, settings: Settings, progress: Progress = silent) -> tuple[Artifact, str]:
    """What should serve in the place of `winner`, and a sentence about it. With `[training] refit = "none"`
    that is `winner` itself, and nothing is said.

    The refit repeats the winner's choices and carries its figures. Its graph and probes are checked as every
    export's; its size, memory, start and latency are measured beside the winner's and held against the
    limits of `[promotion] threshold`. Raises `VerdictIsNo` where it does not pass: the winner was good
    enough, this is not. Raises `RunNotValid` where the winner, timed again beside it, misses the limit too: then
    the machine is busier than it was, and nothing is learned about the refit. Raises `UsageFault` where the
    winner's run or split is gone. What was adopted cannot be trained here: it serves as it was measured, and the
    sentence says so.
    """
    if settings.training.refit == "none":
        return winner, ""
    try:
        run = open_run(settings.paths.runs / winner.manifest.run)
        if run.description.is_adopted:
            return winner, _serves_as_it_came(winner)
        split = open_split(run.split_folder())
    except UsageFault as fault:
        raise UsageFault(
            f'{winner.name} won, but cannot be trained again: {fault} Or set [training] refit = "none" to ship '
            "what was measured."
        ) from fault
    again = refit(run, split, settings, progress)
    artifact = _export(again, winner, settings, progress)
    timed = _time(winner, artifact, settings, progress)
    _refuse_beyond_limits(winner, artifact, timed, settings)
    before, after = map(_smallest_batch, timed)
    trained, parts = artifact.manifest.training, " + ".join(again.description.parts)
    return artifact, (
        f"Before it serves it was trained again with the same choices on {parts} ({trained.interactions:,} "
        f"interactions, {artifact.manifest.items:,} items); the quality above is that of the model before. "
        f"It is now {artifact.size_bytes / 1e6:.2f} MB (was {winner.size_bytes / 1e6:.2f}) and takes "
        f"{after.p50_ms:.3f} ms (was {before.p50_ms:.3f})."
    )


def _serves_as_it_came(winner: Artifact) -> str:
    parts = " + ".join(winner.manifest.training.parts)
    return (
        f"It was brought along and cannot be trained again here: it serves exactly as it was measured, and knows "
        f"nothing newer than the {parts} part of the log."
    )


def _export(again: Run, winner: Artifact, settings: Settings, progress: Progress) -> Artifact:
    variant = winner.manifest.variant
    attempts = export_run(again, settings, progress, variants=(variant,), figures_of=winner.version)
    attempt = next(a for a in attempts if a.variant == variant)
    if attempt.artifact is None:
        raise VerdictIsNo(
            f"{winner.name} won, but trained again on {' + '.join(again.description.parts)} it {attempt.status}: "
            f'{attempt.why} Nothing was promoted. Set [training] refit = "none" to ship what was measured.'
        )
    return open_artifact(settings.paths.artifacts / attempt.artifact)


def _time(
    winner: Artifact, artifact: Artifact, settings: Settings, progress: Progress
) -> tuple[list[Latency], list[Latency]]:
    """Both side by side in every batch size, on the probes' histories."""
    predictors = [OnnxPredictor(one, threads=THREADS) for one in (winner, artifact)]
    for predictor in predictors:
        predictor.replay_probes()
    histories = [[probe.history for probe in one.probes] or [[0]] for one in (winner, artifact)]
    first, second = time_side_by_side(predictors, histories, settings.measuring, progress)
    return first, second


def _refuse_beyond_limits(
    winner: Artifact, artifact: Artifact, timed: tuple[list[Latency], list[Latency]], settings: Settings
) -> None:
    """Limits on quality are not asked again: the figures are the winner's."""
    figures = _figures(artifact, timed[1])
    for limit in settings.promotion.limits():
        value = figures.get(limit.figure)
        if value is None or limit.is_met(value):
            continue
        of_winner = _figures(winner, timed[0])[limit.figure]
        if not limit.is_met(of_winner):
            raise RunNotValid(
                f"{winner.name} won, but timed again beside its refit it misses `{limit.expression}` itself, with "
                f"{short(of_winner)}: this machine is busier than when it was measured. Nothing was promoted. Run "
                "`flyweight promote` again when the machine is quiet."
            )
        raise VerdictIsNo(
            f"{artifact.name} won, but trained again it misses `{limit.expression}` with "
            f"{short(value, beside=limit.bound)}. Nothing was promoted. Relax the limit, or set [training] "
            'refit = "none" to ship what was measured.'
        )


def _figures(artifact: Artifact, timed: list[Latency]) -> dict[str, float | None]:
    """What `[promotion] threshold` may name, quality aside."""
    costs = costs_of(_smallest_batch(timed), artifact.size_bytes, footprint_of(artifact.path))
    return costs | {THROUGHPUT: max(latency.predictions_per_second for latency in timed)}


def _smallest_batch(timed: list[Latency]) -> Latency:
    return min(timed, key=lambda latency: latency.batch_size)
