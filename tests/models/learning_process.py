"""One of several processes that learn together; `test_processes.py` starts it with torchrun's variables.

Arguments: a split's folder, and a folder that holds flyweight.toml, to leave results in. Runs `flyweight train`;
learns a network by either softmax and leaves its arrays; then the second process ends without a word, and the
first leaves what it says of that.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from contracts.faults import Fault
from contracts.progress import silent
from contracts.rung_sections import Popularity, Sasrec
from contracts.sections import Settings, Training
from flyweight.model_verbs import train
from models import processes
from models.lesson import first_lesson
from models.rungs.item_tables import FullTable
from models.rungs.sasrec import Sasrec as Network
from models.rungs.sasrec_batches import TrainingWindows
from models.rungs.sasrec_training import new_sasrec, train_network
from models.splits.split import Split, open_split

WHOLE, SAMPLED = 10**12, 0


def learn(split: Split, folder: Path, full_softmax_scores: int) -> tuple[Network, list[float]]:
    choices = Sasrec(
        dimension=8, layers=1, heads=1, epochs=3, learning_rate=0.01, negatives=64, dropout=0.0,
        full_softmax_scores=full_softmax_scores,
    )  # fmt: skip
    settings = Settings(
        training=Training(max_history=10, threads=1), popularity=Popularity(half_lives_days=(7.0,)), sasrec=choices
    )
    lesson, tuning, _ = first_lesson(split, settings, folder / f"checkpoint-{full_softmax_scores}", silent)
    return train_network(
        lambda: new_sasrec(FullTable(lesson.items, 8), lesson.items, 10, choices),
        TrainingWindows(lesson.train, lesson.users, 10), lesson, choices, tuning.validation,
    )  # fmt: skip


def main() -> None:
    split, folder = open_split(Path(sys.argv[1])), Path(sys.argv[2])
    command = ["--split", str(split.folder), "--rung", "sasrec", "--config", str(folder / "flyweight.toml")]
    with suppress(SystemExit):
        train(command)
    for softmax in (WHOLE, SAMPLED):
        network, epochs = learn(split, folder, softmax)
        arrays = network.to_arrays() | {"epochs": np.array(epochs)}
        save_file(arrays, folder / f"{softmax}-{processes.number()}.safetensors")
    if not processes.is_first():
        os._exit(0)
    try:
        processes.wait()
    except Fault as fault:
        (folder / "fault").write_text(str(fault))


if __name__ == "__main__":
    main()
