"""Training one rung of the ladder on a split, and training it again on more of the log."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from importlib.metadata import version

import msgspec
import numpy as np

from contracts import durable
from contracts.faults import UsageFault
from contracts.progress import Progress, silent
from contracts.revision import LEARNING, code_revision
from contracts.sections import Settings
from models import processes
from models.ladder import PARENTS, TRAININGS, Model
from models.learning import help_learning, learn, learn_again
from models.lesson import first_lesson, plain_lesson, second_lesson, with_history_of
from models.listing import asked
from models.refitting import REFIT_PARTS, whole_split
from models.rungs.ease import ease_refusal
from models.rungs.ials import ials_refusal
from models.rungs.item_tables import jpq_refusal
from models.rungs.vmis_knn import vmis_knn_refusal
from models.runs import (
    CHECKPOINT,
    MODEL,
    RUN,
    SCHEMA_VERSION,
    WHOLE_CHECKPOINT,
    Run,
    RunDescription,
    described_runs,
    open_run,
)
from models.splits.split import Split
from models.tensor_file import write_tensors

_LIBRARIES = ("implicit", "numpy", "polars", "scipy", "threadpoolctl", "torch")
_HALF_LIFE = "half-life-days"
_SECTIONS = {
    "sasrec:jpq": ("sasrec", "jpq"),
    "blend": ("sasrec", "item-to-item", "blend"),
    "student": ("sasrec", "item-to-item", "blend", "student"),
}
"""Sections that decide what a training makes, those of its parents too, where they are not its name alone."""

_REFUSALS = {"vmis-knn": vmis_knn_refusal, "ials": ials_refusal, "ease": ease_refusal}
"""Per rung that not every catalog can have: (items, its section of the settings) -> why not, or None."""

_NETWORKS = ("sasrec", *_SECTIONS)


def train(split: Split, name: str, settings: Settings, progress: Progress = silent) -> Run:
    """Train what `name` says (see `models.ladder.TRAININGS`) on the split's training part, tuned on its validation
    part; the holdout is never read. What it is made of is trained first.

    The run lies in `settings.paths.runs`. A finished one with the same key is returned as it is, an
    interrupted one goes on from its checkpoint. Raises `UsageFault` for an unknown name, and where `refusal`
    says why not.

    Several processes (see `models.processes`) come here together: the first does it all, and the others help where
    a network learns.
    """
    if name not in TRAININGS:
        raise UsageFault(f"cannot train {name!r}; expected one of {', '.join(TRAININGS)}.")
    if why := refusal(split, name, settings):
        raise UsageFault(why)
    parents = [train(split, parent, settings, progress) for parent in PARENTS.get(name, ())]
    settings = with_history_of(split, settings)
    description = _describe(split, name, settings, parents)

    def learn_it(run: Run) -> tuple[RunDescription, np.ndarray, Model]:
        lesson, tuning, half_life = first_lesson(split, settings, run.folder / CHECKPOINT, progress)
        learnt = learn(description.rung, description.variant, lesson, tuning, [p.model() for p in parents])
        progress(f"{name}: repeat policy", 0, 1)
        best, policies = tuning.validation.best_policy(asked(learnt.model))
        progress(f"{name}: repeat policy", 1, 1)
        finished = msgspec.structs.replace(
            description,
            chosen={_HALF_LIFE: half_life} | learnt.chosen,
            repeat_policy=best,
            policies=policies,
            validation={"NDCG@10": policies[best]},
            epochs=learnt.epochs,
        )
        return finished, lesson.popularity, learnt.model

    def help_learn(run: Run) -> None:
        lesson = plain_lesson(split, settings, run.folder / CHECKPOINT)
        help_learning(description.rung, description.variant, lesson, parents)

    return _once(settings, description, learn_it, help_learn)


def refusal(split: Split, name: str, settings: Settings) -> str | None:
    """Why this log cannot have this training by these settings, or None where it can."""
    if name in _REFUSALS:
        return _REFUSALS[name](split.catalog_size, getattr(settings, name.replace("-", "_")))
    if name == "sasrec:jpq":
        return jpq_refusal(settings.sasrec.dimension, settings.jpq.codebooks)
    return None


def refit(run: Run, split: Split, settings: Settings, progress: Progress = silent) -> Run:
    """Train `run` again, with the choices it made, on the parts of its split that `[training] refit` names.

    `split` is the one it learned from; `UsageFault` is raised for another. The settings that decide what comes
    out are those of `run`; `settings` says where runs lie and what `refit` is. Its figures stay those of `run`,
    as `refit_of` says. With `refit = "none"` it is `run` itself.
    """
    if settings.training.refit == "none":
        return run
    first = run.description
    if split.description.sha256 != first.split_sha256:
        raise UsageFault(
            f"{run.folder} learned from the split {first.split_sha256[:12]}, but {split.folder} holds "
            f"{split.description.sha256[:12]}. Make that split again, or train on this one first."
        )
    parts = REFIT_PARTS[settings.training.refit]
    settings = _settings_of(first, settings)
    of_parents = [open_run(run.folder.parent / name) for name in first.parents]
    parents = [refit(parent, split, settings, progress) for parent in of_parents]
    identity = _identity(first.name, first.split_sha256, first.settings, first.seed, parents, parts, first.key)
    description = msgspec.structs.replace(
        first,
        key=identity,
        parts=parts,
        parents=[parent.folder.name for parent in parents],
        refit_of=run.folder.name,
        code_revision=code_revision(LEARNING),
        libraries=_libraries(),
    )

    def learn_it(refitted: Run) -> tuple[RunDescription, np.ndarray, Model]:
        whole, chosen = whole_split(split, parts), first.chosen
        lesson = second_lesson(whole, settings, chosen[_HALF_LIFE], refitted.folder / CHECKPOINT, progress)
        model = learn_again(first.rung, first.variant, lesson, chosen, [p.model() for p in parents])
        return description, lesson.popularity, model

    def help_learn(refitted: Run) -> None:
        lesson = plain_lesson(whole_split(split, parts), settings, refitted.folder / CHECKPOINT)
        help_learning(first.rung, first.variant, lesson, parents, first.chosen)

    return _once(settings, description, learn_it, help_learn)


def _settings_of(run: RunDescription, settings: Settings) -> Settings:
    """`settings` with all that decided what came out of the run as it was then: the file may say something else
    by now, and what a search found never stood there. Raises `UsageFault` where this code has other settings."""
    fields = [field for field in msgspec.structs.fields(Settings) if field.encode_name in run.settings]
    try:
        sections = {field.name: msgspec.convert(run.settings[field.encode_name], field.type) for field in fields}
    except msgspec.ValidationError as error:
        raise UsageFault(
            f"the run {run.folder_name} was made by settings that this code does not know: {error}. "
            f"Run `flyweight train --rung {run.name}` again."
        ) from error
    own = {"max_history": run.settings["max-history"], "seed": run.seed}
    own |= {"threads": run.settings["threads"]} if "threads" in run.settings else {}
    training = msgspec.structs.replace(settings.training, **own)
    return msgspec.structs.replace(settings, training=training, **sections)


def _once(
    settings: Settings,
    description: RunDescription,
    learn_it: Callable[[Run], tuple[RunDescription, np.ndarray, Model]],
    help_learn: Callable[[Run], None],
) -> Run:
    """The finished run of this description: found, or made by `learn_it` and written, the description last. Where
    several processes are at it, the first does this, and the others `help_learn`."""
    run = Run(settings.paths.runs / description.folder_name, description)
    if not processes.is_first():
        found = bool(processes.as_first_says(0))
        if not found:
            help_learn(run)
        processes.wait()
        return dataclasses.replace(open_run(run.folder), reused=found)
    with durable.lock(settings.paths.runs / f".{run.folder.name}.lock"):
        found = (run.folder / RUN).exists()
        processes.as_first_says(found)
        if not found:
            finished, popularity, model = learn_it(run)
            write_tensors(run.folder / MODEL, {"popularity": popularity} | model.to_arrays())
            content = msgspec.json.format(msgspec.json.encode(finished), indent=2)
            durable.write_bytes(run.folder / RUN, content)
        durable.make_newest(run.folder / RUN, described_runs(settings.paths.runs))
        for left in (CHECKPOINT, WHOLE_CHECKPOINT):
            (run.folder / left).unlink(missing_ok=True)
    processes.wait()
    return dataclasses.replace(open_run(run.folder), reused=found)


def _describe(split: Split, name: str, settings: Settings, parents: Sequence[Run]) -> RunDescription:
    """What is known before training. The key is made of all that decides what comes out."""
    rung, _, variant = name.partition(":")
    decisive = {"max-history": settings.training.max_history, "popularity": settings.popularity}
    for section in _SECTIONS.get(name, (rung,)):
        decisive[section] = getattr(settings, section.replace("-", "_"))
    if name in _NETWORKS:  # more threads add up in another order: other last digits
        decisive["threads"] = processes.threads(settings.training.threads)
        decisive |= {"processes": processes.count()} if processes.count() > 1 else {}
    chosen_settings = msgspec.to_builtins(decisive)
    seed, parts = settings.training.seed, ["train"]
    key = _identity(name, split.description.sha256, chosen_settings, seed, parents, parts, "")
    runs, folder = settings.paths.runs.resolve(), split.folder.resolve()
    return RunDescription(
        schema_version=SCHEMA_VERSION,
        rung=rung,
        variant=variant or "fp32",
        key=key,
        split=str(folder.relative_to(runs) if folder.is_relative_to(runs) else folder),
        split_sha256=split.description.sha256,
        log_sha256=split.description.log_sha256,
        protocol=split.description.protocol,
        parts=parts,
        settings=chosen_settings,
        seed=seed,
        parents=[parent.folder.name for parent in parents],
        refit_of="",
        chosen={},
        repeat_policy="mask",
        policies={},
        validation={},
        epochs=[],
        code_revision=code_revision(LEARNING),
        libraries=_libraries(),
    )


def _identity(
    name: str,
    split_sha256: str,
    settings: dict[str, object],
    seed: int,
    parents: Sequence[Run],
    parts: list[str],
    refit_of: str,
) -> str:
    decisive = [SCHEMA_VERSION, name, split_sha256, settings, seed, parts, refit_of, code_revision(LEARNING)]
    keys = [parent.description.key for parent in parents]
    return hashlib.sha256(msgspec.json.encode([*decisive, keys])).hexdigest()


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}
