"""The winner learns once more from more of the log, and is checked again before it may serve."""

from contracts.artifact import Artifact, open_artifact
from contracts.faults import VerdictIsNo
from contracts.progress import Progress, silent
from contracts.sections import Settings
from export.exporting import export_run
from export.figures import costs_of
from export.footprint import footprint_of
from export.latency import Latency, time_side_by_side
from export.measuring import THREADS
from models.runs import Run, open_run
from models.split import open_split
from models.training import refit
from service.predictor import OnnxPredictor


def refit_winner(winner: Artifact, settings: Settings, progress: Progress = silent) -> tuple[Artifact, str]:
    """What should serve in the place of `winner`, and a sentence about it. With `[training] refit = "none"`
    that is `winner` itself, and nothing is said.

    The refit repeats the winner's choices and carries its figures. Its graph and probes are checked as every
    export's; its size, memory, start and latency are measured beside the winner's and held against the
    limits of `[promotion] threshold`. Raises `VerdictIsNo` where it does not pass: the winner was good
    enough, this is not.
    """
    run = open_run(settings.paths.runs / winner.manifest.run)
    again = refit(run, open_split(run.split_folder()), settings, progress)
    if again.folder == run.folder:
        return winner, ""
    artifact = _export(again, winner, settings, progress)
    before, after = _time(winner, artifact, settings, progress)
    _refuse_beyond_limits(artifact, after, settings)
    trained, parts = artifact.manifest.training, " + ".join(again.description.parts)
    return artifact, (
        f"Before it serves it was trained again with the same choices on {parts} ({trained.interactions:,} "
        f"interactions, {artifact.manifest.items:,} items); the quality above is that of the model before. "
        f"It is now {artifact.size_bytes / 1e6:.2f} MB (was {winner.size_bytes / 1e6:.2f}) and takes "
        f"{after.p50_ms:.3f} ms (was {before.p50_ms:.3f})."
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


def _time(winner: Artifact, artifact: Artifact, settings: Settings, progress: Progress) -> tuple[Latency, Latency]:
    """Both side by side at the smallest batch, on the probes' histories."""
    predictors = [OnnxPredictor(one, threads=THREADS) for one in (winner, artifact)]
    for predictor in predictors:
        predictor.replay_probes()
    histories = [[probe.history for probe in one.probes] or [[0]] for one in (winner, artifact)]
    timed = time_side_by_side(predictors, histories, settings.measuring, progress)
    first, second = (min(latencies, key=lambda latency: latency.batch_size) for latencies in timed)
    return first, second


def _refuse_beyond_limits(artifact: Artifact, latency: Latency, settings: Settings) -> None:
    figures = costs_of(latency, artifact.size_bytes, footprint_of(artifact.path))
    for limit in settings.promotion.limits():
        value = figures.get(limit.figure)
        if value is not None and not limit.is_met(value):
            raise VerdictIsNo(
                f"{artifact.name} won, but trained again it misses `{limit.expression}` with {value:.3g}. Nothing "
                'was promoted. Raise the limit, or set [training] refit = "none" to ship what was measured.'
            )
