"""The measuring step: quality, size, memory, start and speed of every artifact, in one run, side by side.

The figures of an artifact go into its directory; see `export.measuring.measured`.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import msgspec

from contracts.artifact import Artifact
from contracts.faults import RunNotValid, UsageFault
from contracts.machine import cores, cpu_model, machine_name
from contracts.progress import Progress, silent
from contracts.revision import EVERYTHING, code_revision
from contracts.sections import CONVERTED, FP32, JPQ, JPQ_IVF, Settings
from export.measuring.evaluation import Answers, Estimate, answer, codes_to_indices, evaluate
from export.measuring.footprint import footprint_of
from export.measuring.latency import time_side_by_side
from export.measuring.measured import (
    Candidate,
    Comparison,
    Machine,
    Measured,
    manifest_sha256,
    read_measured,
    write_measured,
)
from models.splits.interactions import concatenate
from models.splits.questions import EVERY_PREFIX, Questions, cold_questions, holdout_questions
from models.splits.split import Split
from service.predictor import OnnxPredictor

BASELINE = f"popularity:{FP32}"
THREADS = 1


def measure(
    artifacts: Sequence[Artifact], split: Split, settings: Settings, progress: Progress = silent
) -> list[Candidate]:
    """Measure all of `artifacts` on the split's holdout; what the same run measured already is read back.

    The baseline must be among them. Raises `UsageFault` when it is not, or when an artifact was not
    trained on this split: its figures would not be comparable.
    """
    _refuse_incomparable(artifacts, split)
    run = _run_key(artifacts, split, settings)
    known = [read_measured(artifact) for artifact in artifacts]
    if all(measured is not None and measured.run == run for measured in known):
        return [Candidate(a, m) for a, m in zip(artifacts, known, strict=True) if m]
    questions = _holdout_questions(split, settings.measuring.questions)
    predictors = [OnnxPredictor(artifact, threads=THREADS) for artifact in artifacts]
    for predictor in predictors:
        predictor.replay_probes()
    policies = [artifact.manifest.repeat_policy for artifact in artifacts]
    answers = [
        answer(predictor, questions, split.item_ids, policy, progress)
        for predictor, policy in zip(predictors, policies, strict=True)
    ]
    compared = _compare(artifacts, answers, settings)
    gains = [
        _policy_gain(predictor, own, split.item_ids, settings, progress)
        for predictor, own in zip(predictors, answers, strict=True)
    ]
    histories = [_real_histories(artifact, questions, split) for artifact in artifacts]
    latencies = time_side_by_side(predictors, histories, settings.measuring, progress)
    cold = cold_questions(concatenate(split.train, split.validation), split.holdout(), len(split.user_ids))
    cold = cold.drawn(settings.measuring.questions)
    protocol = EVERY_PREFIX if questions.protocol == EVERY_PREFIX else split.description.protocol
    machine = Machine(machine_name(), cpu_model(), cores(), THREADS)
    candidates = []
    for i, artifact in enumerate(artifacts):
        progress("measuring memory and start", i, len(artifacts))
        quality = evaluate(artifact, answers[i], cold, split.item_ids, protocol, settings.measuring.resamples)
        measured = Measured(
            run, manifest_sha256(artifact), machine, settings.promotion.metric, quality, *compared[i], gains[i],
            latencies[i], artifact.size_bytes, footprint_of(artifact.path), _recall(i, artifacts, answers),
        )  # fmt: skip
        write_measured(artifact, measured)
        candidates.append(Candidate(artifact, measured))
    progress("measuring memory and start", len(artifacts), len(artifacts))
    return candidates


def _run_key(artifacts: Sequence[Artifact], split: Split, settings: Settings) -> str:
    parts = [
        machine_name(),
        split.description.sha256,
        settings.promotion.metric,
        msgspec.json.encode(settings.measuring).decode(),
        code_revision((*EVERYTHING, "service")),
        *(version(library) for library in ("numpy", "onnxruntime")),
        *sorted(artifact.version for artifact in artifacts),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def refuse_without_baseline(artifacts: Sequence[Artifact]) -> None:
    """Raise `UsageFault` unless the baseline is among `artifacts`."""
    names = [artifact.name for artifact in artifacts]
    if BASELINE not in names:
        raise UsageFault(
            f"measuring needs the baseline {BASELINE} to compare with; found {', '.join(names) or 'nothing'}. "
            "Run `flyweight train --rung popularity` and `flyweight export --rung popularity`."
        )


def _refuse_incomparable(artifacts: Sequence[Artifact], split: Split) -> None:
    refuse_without_baseline(artifacts)
    for artifact in artifacts:
        training = artifact.manifest.training
        if artifact.manifest.figures_of:
            raise UsageFault(
                f"{artifact.path} is a refit and has seen what it would be asked. It carries the figures of "
                f"version {artifact.manifest.figures_of}: measure that one."
            )
        if training is None or training.split_sha256 != split.description.sha256:
            found = training.split_sha256[:12] if training else "none (untrained)"
            raise UsageFault(
                f"{artifact.path} was trained on split {found}, measured is {split.description.sha256[:12]}: "
                "their figures cannot be compared. Train and export it on this split, or leave it out."
            )


def _holdout_questions(split: Split, at_most: int) -> Questions:
    questions = holdout_questions(split).drawn(at_most)
    if not questions.histories:
        raise RunNotValid(
            "the holdout asks no question: no user in it has a history before it. "
            "Bring a longer log, or a larger [split] holdout-percent."
        )
    return questions


def _compare(
    artifacts: Sequence[Artifact], answers: Sequence[Answers], settings: Settings
) -> list[tuple[Comparison, Comparison, Comparison | None]]:
    """Each against the baseline, against the best, and against what it is a compressed form of."""
    metric, resamples = settings.promotion.metric, settings.measuring.resamples
    place_of = {artifact.name: i for i, artifact in enumerate(artifacts)}
    best = max(range(len(answers)), key=lambda i: answers[i].per_question[metric].mean())

    def against(i: int, other: int) -> Comparison:
        difference = answers[i].paired(answers[other], metric, resamples)
        return Comparison(artifacts[other].name, artifacts[other].version, difference)

    compared = []
    for i, artifact in enumerate(artifacts):
        uncompressed = _uncompressed_of(artifact, artifacts)
        own = None if uncompressed is None else against(i, uncompressed)
        compared.append((against(i, place_of[BASELINE]), against(i, best), own))
    return compared


def _uncompressed_of(artifact: Artifact, artifacts: Sequence[Artifact]) -> int | None:
    """The place of what `artifact` is a compressed form of, the fp32 of its run; where compression was learned,
    in a run of its own, the fp32 of its rung. None where that is not there, and for what is fp32 itself."""
    own = artifact.manifest
    if own.variant == FP32:
        return None
    uncompressed = f"{own.rung}:{JPQ if own.variant == JPQ_IVF else FP32}"
    converted = own.variant in CONVERTED
    fits = [
        i
        for i, other in enumerate(artifacts)
        if other.name == uncompressed and (other.manifest.run == own.run or not converted)
    ]
    return fits[-1] if fits else None


def _recall(i: int, artifacts: Sequence[Artifact], answers: Sequence[Answers]) -> float | None:
    """See `Measured.recall`."""
    if artifacts[i].manifest.variant not in CONVERTED:
        return 1.0
    exact = _uncompressed_of(artifacts[i], artifacts)
    return None if exact is None else answers[i].share_of(answers[exact])


def _policy_gain(
    predictor: OnnxPredictor, answers: Answers, item_ids: Sequence[str], settings: Settings, progress: Progress
) -> Estimate | None:
    """What the artifact's repeat policy brings on these questions; None where it is `mask` anyway."""
    if answers.policy == "mask":
        return None
    masked = answer(predictor, answers.questions, item_ids, "mask", progress)
    return answers.paired(masked, settings.promotion.metric, settings.measuring.resamples)


def _real_histories(artifact: Artifact, questions: Questions, split: Split) -> list[list[int]]:
    """Histories of the holdout's questions as this artifact sees them: at most 512, never empty."""
    to_index = codes_to_indices(artifact.catalog, split.item_ids)
    mapped = [to_index[history] for history in questions.histories[:512]]
    return [kept.tolist() for history in mapped if len(kept := history[history >= 0])] or [[0]]
