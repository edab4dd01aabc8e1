"""The trials of a study on disk: one line of JSON each, appended when the trial has ended."""

import os
from pathlib import Path
from typing import Literal

import msgspec

from contracts import durable
from contracts.faults import UsageFault


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` is a place in the search space, `ndcg` the NDCG@10 on the validation part, None unless finished.

    A `pruned` trial was given up after the last of `epochs`, a `failed` one could not be trained. `seconds` is
    what it took.
    """

    params: dict[str, float]
    state: Literal["finished", "pruned", "failed"]
    ndcg: float | None
    epochs: list[float]
    seconds: float


def read_trials(path: Path) -> list[Trial]:
    """All trials that ended, oldest first; a line that a killed writer left torn is cut off.

    Raises `UsageFault` for any other damage.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        durable.write_bytes(path, whole)
    try:
        return [msgspec.json.decode(line, type=Trial) for line in whole.splitlines()]
    except msgspec.MsgspecError as error:
        raise UsageFault(
            f"{path} is damaged: {error}; expected one trial a line. Remove it to search from the beginning."
        ) from error


def append_trial(path: Path, trial: Trial) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(trial) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def best_trial(trials: list[Trial]) -> int:
    """The number of the finished trial with the highest NDCG@10; of equals, the first. One has finished."""
    finished = [number for number, trial in enumerate(trials) if trial.ndcg is not None]
    return max(finished, key=lambda number: (trials[number].ndcg, -number))
