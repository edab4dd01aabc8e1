"""What an interrupted training of SASRec goes on from: all that the next epoch depends on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from safetensors import safe_open
from torch import Tensor

from models.rungs.sasrec import Sasrec
from models.rungs.sasrec_steps import SampledSteps, WholeSteps
from models.tensor_file import write_tensors


@dataclass
class Learner:
    """A network, what moves it, the NDCG@10 of every epoch so far, and the weights of the best."""

    network: Sasrec
    steps: WholeSteps | SampledSteps
    scores: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def is_done(self, epochs: int, patience: int) -> bool:
        since_best = len(self.scores) - 1 - int(np.argmax(self.scores)) if self.scores else 0
        return len(self.scores) >= epochs or since_best >= patience

    def is_best_now(self) -> bool:
        return int(np.argmax(self.scores)) == len(self.scores) - 1

    def keep_best(self) -> None:
        self.best = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


def save(checkpoint: Path, learner: Learner) -> None:
    """The best weights are written only where they are not those of now."""
    tensors = {f"network.{name}": tensor for name, tensor in learner.network.state_dict().items()}
    if not learner.is_best_now():
        tensors |= {f"best.{name}": tensor for name, tensor in learner.best.items()}
    tensors |= {f"memory.{name}": tensor for name, tensor in learner.steps.memory().items()}
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    write_tensors(checkpoint, arrays, {"scores": msgspec.json.encode(learner.scores).decode()})


def load(checkpoint: Path, learner: Learner) -> None:
    """Make `learner` what it was when it was saved."""
    with safe_open(checkpoint, framework="pt") as file:
        learner.scores = msgspec.json.decode(file.metadata()["scores"], type=list[float])

        def under(prefix: str) -> Iterator[tuple[str, Tensor]]:
            for name in file.keys():  # noqa: SIM118 - no mapping
                if name.startswith(prefix):
                    yield name.removeprefix(prefix), file.get_tensor(name)

        learner.network.load_state_dict(dict(under("network.")))
        learner.steps.remember(dict(under("memory.")))
        learner.best = dict(under("best."))
    if not learner.best:
        learner.keep_best()
