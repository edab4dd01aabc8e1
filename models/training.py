"""Training one rung of the ladder on a split, and finding the runs again.

run.json                what it is; written last, a folder without it is no run
model.safetensors       the model's arrays, and always "popularity": the list to fall back to
checkpoint.safetensors  only while it trains: where to go on after an interruption
"""

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from safetensors.numpy import load_file, save

from contracts import durable
from contracts.faults import UsageFault
from contracts.progress import Progress, silent
from contracts.revision import LEARNING, code_revision
from contracts.sections import Settings
from models.interactions import Interactions
from models.item_to_item import choose_settings, fit_item_to_item
from models.ladder import RUNGS, Model, model_from_arrays
from models.popularity import Popularity, choose_half_life, decayed_weights
from models.questions import validation_questions
from models.sasrec_training import mix_in_best_share, train_sasrec
from models.split import Split
from models.timestamps import ORDER
from models.validating import Validation

SCHEMA_VERSION = 1
RUN, MODEL, CHECKPOINT = "run.json", "model.safetensors", "checkpoint.safetensors"
_LIBRARIES = ("numpy", "polars", "scipy", "torch")


class RunDescription(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`key` is the identity: equal keys, equal runs. `split` is a path, relative to the folder of the runs
    where it lies there. `chosen` is what the validation part decided, `validation` the model's figures on it;
    `epochs` the NDCG@10 after every epoch, for rungs that learn in epochs."""

    schema_version: int
    rung: str
    key: str
    split: str
    split_sha256: str
    log_sha256: str
    protocol: str
    settings: dict[str, object]
    seed: int
    chosen: dict[str, float]
    validation: dict[str, float]
    epochs: list[float]
    code_revision: str
    libraries: dict[str, str]


@dataclass(frozen=True)
class Run:
    """A finished training. `reused` says that `train` found it done already."""

    folder: Path
    description: RunDescription
    reused: bool = False

    def model(self) -> Model:
        return model_from_arrays(self.description.rung, load_file(self.folder / MODEL))

    def popularity(self) -> np.ndarray:
        """float32 [items]: the time-decayed popularity, the greatest 1."""
        return load_file(self.folder / MODEL)["popularity"]

    def split_folder(self) -> Path:
        return self.folder.parent / self.description.split


def train(split: Split, rung: str, settings: Settings, progress: Progress = silent) -> Run:
    """Train `rung` on the split's training part, tuned on its validation part; the holdout is never read.

    The run lies in `settings.paths.runs`. A finished one with the same key is returned as it is, an
    interrupted one goes on from its checkpoint. Raises `UsageFault` for an unknown rung.
    """
    if rung not in RUNGS:
        raise UsageFault(f"cannot train {rung!r}; expected one of {', '.join(RUNGS)}.")
    description = _describe(split, rung, settings)
    folder = settings.paths.runs / f"{rung}-{description.key[:12]}"
    with durable.lock(settings.paths.runs / f".{folder.name}.lock"):
        if (folder / RUN).exists():
            (folder / CHECKPOINT).unlink(missing_ok=True)
            os.utime(folder / RUN)  # asked for last, so it is the newest again
            return Run(folder, _read(folder), reused=True)
        learnt = _learn(split, rung, settings, folder / CHECKPOINT, progress)
        arrays = {"popularity": learnt.popularity} | learnt.model.to_arrays()
        durable.write_bytes(folder / MODEL, save(arrays))
        finished = msgspec.structs.replace(
            description, chosen=learnt.chosen, validation=learnt.validation, epochs=learnt.epochs
        )
        durable.write_bytes(folder / RUN, msgspec.json.format(msgspec.json.encode(finished), indent=2))
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return Run(folder, _read(folder))


def find_runs(runs: Path) -> list[Run]:
    """The finished runs in a folder, newest last."""
    found = sorted(runs.glob(f"[!.]*/{RUN}"), key=lambda path: (path.stat().st_mtime_ns, path))
    return [Run(path.parent, _read(path.parent)) for path in found]


def open_run(folder: Path) -> Run:
    """A finished run. Raises `UsageFault` for a folder that is none."""
    return Run(folder, _read(folder))


def newest_run(runs: Path, rung: str) -> Run:
    """Raises `UsageFault` where the rung was not trained yet."""
    found = [run for run in find_runs(runs) if run.description.rung == rung]
    if not found:
        raise UsageFault(f"{runs} holds no finished run of {rung}. Run `flyweight train --rung {rung}` first.")
    return found[-1]


def newest_runs_together(runs: Path) -> list[Run]:
    """The newest run of every rung that learned from the same split as the newest run of all, cheapest first.

    Runs of another log never come along. Raises `UsageFault` where nothing was trained yet.
    """
    found = find_runs(runs)
    if not found:
        raise UsageFault(f"{runs} holds no finished run. Run `flyweight train --interactions FILE --all` first.")
    split = found[-1].description.split_sha256
    newest = {run.description.rung: run for run in found if run.description.split_sha256 == split}
    return [newest[rung] for rung in RUNGS if rung in newest]


@dataclass(frozen=True)
class _Learnt:
    model: Model
    popularity: np.ndarray
    chosen: dict[str, float]
    validation: dict[str, float]
    epochs: list[float]


def _learn(split: Split, rung: str, settings: Settings, checkpoint: Path, progress: Progress) -> _Learnt:
    questions = validation_questions(split)
    items, users = split.catalog_size, len(split.user_ids)
    validation = Validation(questions.histories, questions.next_items(), items, settings.training.max_history)
    has_clock = split.description.timestamp_kind != ORDER
    earlier = earlier_part(split)
    half_life = choose_half_life(
        earlier, items, settings.popularity.half_lives_days, has_clock, validation, progress
    )
    popularity = decayed_weights(split.train, items, half_life, has_clock)
    chosen: dict[str, float] = {"half-life-days": half_life}
    epochs: list[float] = []
    if rung == "popularity":
        model = Popularity(popularity)
    elif rung == "item-to-item":
        as_it_was = decayed_weights(earlier, items, half_life, has_clock)
        chosen |= choose_settings(earlier, users, as_it_was, settings.item_to_item, validation, progress)
        model = fit_item_to_item(split.train, users, popularity, settings.item_to_item, chosen)
    else:
        model, epochs = train_sasrec(split.train, users, items, settings, validation, checkpoint, progress)
        chosen["epoch"] = 1 + int(np.argmax(epochs))
        chosen["popularity"] = mix_in_best_share(model, popularity, settings.sasrec.popularity, validation)
    return _Learnt(model, popularity, chosen, {"NDCG@10": validation.ndcg_at_10(model.scores)}, epochs)


def earlier_part(split: Split) -> Interactions:
    """The training part as it stood one validation part before its end: what counting models are tuned on.

    The holdout begins so long after the end of train; a model tuned on the very next day would lean on
    fashions that have passed by then. At least half of the training part; all of it under leave-one-out.
    """
    description, times = split.description, split.train.times
    if description.validation_cutoff is None or description.holdout_cutoff is None:
        return split.train
    newest = 2 * description.validation_cutoff - description.holdout_cutoff
    return split.train.take(times <= max(newest, int(np.median(times))))


def _describe(split: Split, rung: str, settings: Settings) -> RunDescription:
    """What is known before training. The key is made of all that decides what comes out."""
    decisive = {"max-history": settings.training.max_history, "popularity": settings.popularity}
    if rung == "item-to-item":
        decisive[rung] = settings.item_to_item
    if rung == "sasrec":
        decisive[rung] = settings.sasrec
    chosen_settings = msgspec.to_builtins(decisive)
    revision = code_revision(LEARNING)
    identity = [SCHEMA_VERSION, rung, split.description.sha256, chosen_settings, settings.training.seed, revision]
    runs, folder = settings.paths.runs.resolve(), split.folder.resolve()
    return RunDescription(
        schema_version=SCHEMA_VERSION,
        rung=rung,
        key=hashlib.sha256(msgspec.json.encode(identity)).hexdigest(),
        split=str(folder.relative_to(runs) if folder.is_relative_to(runs) else folder),
        split_sha256=split.description.sha256,
        log_sha256=split.description.log_sha256,
        protocol=split.description.protocol,
        settings=chosen_settings,
        seed=settings.training.seed,
        chosen={},
        validation={},
        epochs=[],
        code_revision=revision,
        libraries={name: version(name) for name in _LIBRARIES},
    )


def _read(folder: Path) -> RunDescription:
    path = folder / RUN
    remedy = f"Remove {folder} and run `flyweight train` again."
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content).get("schema_version")
        if found == SCHEMA_VERSION:
            return msgspec.json.decode(content, type=RunDescription)
    except (OSError, msgspec.MsgspecError, AttributeError) as error:
        raise UsageFault(f"{path} is damaged: {error}. {remedy}") from error
    raise UsageFault(f"{path} has schema version {found}, this code reads {SCHEMA_VERSION}. {remedy}")
