"""Training SASRec: softmax over the catalog, early stopping on the validation part, checkpoints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils import deterministic

from contracts import durable, machine
from contracts.faults import Fault
from contracts.progress import Progress, silent
from contracts.rung_sections import Sasrec as Choices
from models.lesson import Lesson
from models.rungs.item_tables import CodedTable, FullTable
from models.rungs.sasrec import Sasrec
from models.rungs.sasrec_batches import Batch, TrainingWindows
from models.rungs.sasrec_loss import sampled_softmax_loss, softmax_loss
from models.rungs.taught import TaughtPrefixes
from models.validating import Validation

_STEPS_PER_EPOCH, _SMALLEST_BATCH = 64, 16
"""A small log gets smaller batches, down to this size, so that an epoch has about so many steps."""

_NEGATIVES_EXPONENT = 0.75
"""Negatives are drawn by count to this power: between by popularity (1) and all alike (0)."""


@dataclass
class _Learner:
    """All that the next epoch depends on. `scores` holds the NDCG@10 of every epoch so far."""

    network: Sasrec
    adam: torch.optim.Adam
    scores: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def is_done(self, epochs: int, patience: int) -> bool:
        since_best = len(self.scores) - 1 - int(np.argmax(self.scores)) if self.scores else 0
        return len(self.scores) >= epochs or since_best >= patience


def train_network(
    make_network: Callable[[], Sasrec],
    windows: TrainingWindows | TaughtPrefixes,
    lesson: Lesson,
    choices: Choices,
    validation: Validation | None,
) -> tuple[Sasrec, list[float]]:
    """The network of the best epoch, and the NDCG@10 on the validation part after every epoch.

    Ends after `choices.epochs`, or `patience` epochs without a better NDCG@10; without a validation part the
    last epoch counts as the best. `lesson.checkpoint` is written after every epoch; where it exists, training
    goes on from there and ends with the same numbers as one without an interruption. Equal seeds and threads
    give equal numbers on the CPU of one machine.
    """
    counts = np.bincount(lesson.train.items, minlength=lesson.items)
    chances = counts**_NEGATIVES_EXPONENT
    training = lesson.settings.training
    with _reproducible(training.threads or machine.cores(), training.seed):
        network = make_network()
        _start_from_popularity(network, counts)
        network.to("cuda" if torch.cuda.is_available() else "cpu")
        adam = torch.optim.Adam(network.parameters(), lr=choices.learning_rate, fused=True)
        learner = _Learner(network, adam)
        if lesson.checkpoint.exists():
            _load(lesson.checkpoint, learner)
        while not learner.is_done(choices.epochs, choices.patience):
            _learn(learner, windows, chances / chances.sum(), training.seed, choices, lesson.progress)
            scored = validation is not None  # it may hold no question, and then every epoch is worth 0
            learner.scores.append(validation.ndcg_at_10(network.scores) if scored else len(learner.scores))
            if int(np.argmax(learner.scores)) == len(learner.scores) - 1:
                learner.best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            _save(lesson.checkpoint, learner)
            if lesson.watch:
                lesson.watch(len(learner.scores), learner.scores[-1])
        network.load_state_dict(learner.best)
    return network.cpu().eval(), learner.scores


def mix_in_best_share(
    network: Sasrec,
    popularity: np.ndarray,
    shares: tuple[float, ...],
    validation: Validation,
    progress: Progress = silent,
) -> float:
    """Mix in the popular list (float32 [items]) by the share with the best NDCG@10 on the validation part, and
    return it. Of equals, the first."""
    ndcg = []
    for share in shares:
        network.mix_in_popularity(popularity, share)
        ndcg.append(validation.ndcg_at_10(network.scores))
        progress("network: shares of popularity", len(ndcg), len(shares))
    best = shares[int(np.argmax(ndcg))]
    network.mix_in_popularity(popularity, best)
    return best


def new_sasrec(table: FullTable | CodedTable, items: int, max_history: int, choices: Choices) -> Sasrec:
    """A network around an item table, its other weights random from torch's current seed."""
    return Sasrec(table, items, max_history, choices.dimension, choices.layers, choices.heads, choices.dropout)


def _start_from_popularity(network: Sasrec, counts: np.ndarray) -> None:
    """So that the first steps need not learn what counting knows."""
    logs = np.log1p(counts)
    with torch.no_grad():
        network.item_bias[: network.items] = torch.from_numpy((logs - logs.mean()).astype(np.float32))


def _learn(
    learner: _Learner,
    windows: TrainingWindows | TaughtPrefixes,
    chances: np.ndarray,
    seed: int,
    choices: Choices,
    progress: Progress,
) -> None:
    """One epoch. Its randomness comes from the seed and its number alone, so resuming repeats nothing."""
    epoch = len(learner.scores) + 1
    random = np.random.default_rng([seed, epoch])
    torch.manual_seed(int(random.integers(1 << 62)))
    size = min(choices.batch_size, max(_SMALLEST_BATCH, windows.count // _STEPS_PER_EPOCH))
    batches = windows.epoch(size, random)
    learner.network.train()
    total = torch.zeros(())
    for step, (starts, ends) in enumerate(batches, start=1):
        sampled = None
        if len(windows.items) * len(chances) > choices.full_softmax_scores:
            sampled = random.choice(len(chances), size=choices.negatives, p=chances)
        loss = _loss(learner.network, windows.batch(starts, ends), sampled, chances)
        learner.adam.zero_grad(set_to_none=True)
        loss.backward()
        learner.adam.step()
        total += loss.detach().cpu()
        progress(f"network: epoch {epoch}", step, len(batches))
    if not torch.isfinite(total):
        raise Fault(
            f"the network diverged: the loss of epoch {epoch} is {float(total)}. Lower [sasrec] learning-rate "
            f"(now {choices.learning_rate:g}) and train again."
        )


def _loss(network: Sasrec, batch: Batch, sampled: np.ndarray | None, chances: np.ndarray) -> Tensor:
    device = network.positions.device

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device)

    states = network.encode(tensor(batch.history), last_only=batch.only_newest_asks).flatten(0, 1)
    if not batch.only_newest_asks:
        states = states.index_select(0, tensor(batch.asking))
    table = torch.cat([network.item_table.rows(), network.item_bias[:, None]], dim=1)[: network.items]
    states = torch.cat([states, torch.ones_like(states[:, :1])], dim=1)  # what the bias is multiplied by
    pairs = tensor(batch.targets), tensor(batch.owners), tensor(batch.weights)
    if sampled is None:
        return softmax_loss(states, table, *pairs)
    log_expected = np.log(chances[sampled] * len(sampled)).astype(np.float32)
    return sampled_softmax_loss(states, table, *pairs, tensor(sampled), tensor(log_expected))


@contextmanager
def _reproducible(threads: int, seed: int) -> Iterator[None]:
    """Torch with so many threads, seeded and without operations whose sums vary; as it was afterwards."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filled = deterministic.fill_uninitialized_memory
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(True, warn_only=True)
            deterministic.fill_uninitialized_memory = False  # a guard against bugs that costs time
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])
            deterministic.fill_uninitialized_memory = filled


def _save(checkpoint: Path, learner: _Learner) -> None:
    names = [name for name, _ in learner.network.named_parameters()]
    tensors = {f"network.{name}": tensor for name, tensor in learner.network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in learner.best.items()}
    for place, moments in learner.adam.state_dict()["state"].items():
        tensors |= {f"adam.{names[place]}.{kind}": tensor for kind, tensor in moments.items()}
    # not save_file: it writes beside, under a name of its own that a kill would leave
    durable.write_bytes(checkpoint, save(tensors, {"scores": msgspec.json.encode(learner.scores).decode()}))


def _load(checkpoint: Path, learner: _Learner) -> None:
    with safe_open(checkpoint, framework="pt") as file:
        learner.scores = msgspec.json.decode(file.metadata()["scores"], type=list[float])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    learner.network.load_state_dict(under("network."))
    learner.best = under("best.")
    moments = {place: under(f"adam.{name}.") for place, (name, _) in enumerate(learner.network.named_parameters())}
    groups = learner.adam.state_dict()["param_groups"]
    learner.adam.load_state_dict({"state": moments, "param_groups": groups})
