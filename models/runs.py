"""Finished trainings on disk, and finding them again.

run.json                what it is; written last, a folder without it is no run
model.safetensors       the model's arrays, and always "popularity": the list to fall back to
checkpoint.safetensors  only while it trains: where to go on after an interruption
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from safetensors.numpy import load_file

from contracts.encoding import RepeatPolicy
from contracts.faults import UsageFault
from models.ladder import TRAININGS, Model, model_from_arrays

SCHEMA_VERSION = 2
RUN, MODEL, CHECKPOINT = "run.json", "model.safetensors", "checkpoint.safetensors"
WHOLE_CHECKPOINT = f"whole-{CHECKPOINT}"
"""Of the network that a compressed one starts from; as `CHECKPOINT`, only while it trains."""


class RunDescription(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`key` is the identity: equal keys, equal runs. `split` is a path, relative to the folder of the runs
    where it lies there; `parts` of it were learned from. `variant` is `fp32`, or `jpq` for a compressed item
    table.

    `chosen` is what the validation part decided, `validation` the model's figures on it, `policies` its NDCG@10
    there under each repeat policy, `repeat_policy` the best of them; `epochs` the NDCG@10 after every epoch, for
    rungs that learn in epochs. `parents` are the runs it is made of. A refit names the run it repeats in
    `refit_of` and carries that one's choices and figures.
    """

    schema_version: int
    rung: str
    variant: str
    key: str
    split: str
    split_sha256: str
    log_sha256: str
    protocol: str
    parts: list[str]
    settings: dict[str, object]
    seed: int
    parents: list[str]
    refit_of: str
    chosen: dict[str, float]
    repeat_policy: RepeatPolicy
    policies: dict[RepeatPolicy, float]
    validation: dict[str, float]
    epochs: list[float]
    code_revision: str
    libraries: dict[str, str]

    @property
    def name(self) -> str:
        """What `train --rung` calls it: the rung, and the variant where that is learned too."""
        return self.rung if self.variant == "fp32" else f"{self.rung}:{self.variant}"

    @property
    def is_adopted(self) -> bool:
        """Whether somebody brought this model along: nothing here can train it. See `models.adopted`."""
        return self.name not in TRAININGS

    @property
    def folder_name(self) -> str:
        return f"{self.name.replace(':', '-')}-{self.key[:12]}"


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


def find_runs(runs: Path) -> list[Run]:
    """The finished runs in a folder, newest last; refits are not among them."""
    found = sorted(described_runs(runs), key=lambda path: (path.stat().st_mtime_ns, path))
    opened = [open_run(path.parent) for path in found]
    return [run for run in opened if not run.description.refit_of]


def described_runs(runs: Path) -> Iterator[Path]:
    """The description of every run that was finished, refits among them."""
    return runs.glob(f"[!.]*/{RUN}")


def open_run(folder: Path) -> Run:
    """A finished run. Raises `UsageFault` for a folder that is none."""
    path = folder / RUN
    remedy = f"Remove {folder} and run `flyweight train` again."
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content).get("schema_version")
        if found == SCHEMA_VERSION:
            return Run(folder, msgspec.json.decode(content, type=RunDescription))
    except (OSError, msgspec.MsgspecError, AttributeError) as error:
        raise UsageFault(f"{path} is damaged: {error}. {remedy}") from error
    raise UsageFault(f"{path} has schema version {found}, this code reads {SCHEMA_VERSION}. {remedy}")


def newest_run(runs: Path, name: str) -> Run:
    """`name` as in `TRAININGS`. Raises `UsageFault` where that was not trained yet."""
    found = [run for run in find_runs(runs) if run.description.name == name]
    if not found:
        raise UsageFault(f"{runs} holds no finished run of {name}. Run `flyweight train --rung {name}` first.")
    return found[-1]


def newest_runs_together(runs: Path) -> list[Run]:
    """The newest run of every training that learned from the same split as the newest run of all, cheapest first.

    Runs of another log never come along. Raises `UsageFault` where nothing was trained yet.
    """
    found = find_runs(runs)
    if not found:
        raise UsageFault(f"{runs} holds no finished run. Run `flyweight train --interactions FILE --all` first.")
    split = found[-1].description.split_sha256
    newest = {run.description.name: run for run in found if run.description.split_sha256 == split}
    return [newest[name] for name in TRAININGS if name in newest]
