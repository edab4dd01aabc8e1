"""Training SASRec: softmax over the catalog, early stopping on the validation part, checkpoints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils import deterministic

from contracts.faults import Fault
from contracts.progress import Progress, silent
from contracts.rung_sections import Sasrec as Choices
from models import processes
from models.lesson import Lesson
from models.rungs.item_tables import CodedTable, FullTable
from models.rungs.sasrec import Sasrec
from models.rungs.sasrec_batches import TrainingWindows
from models.rungs.sasrec_checkpoint import Learner, load, save
from models.rungs.sasrec_steps import SampledSteps, WholeSteps
from models.rungs.taught import TaughtPrefixes
from models.validating import Validation

_STEPS_PER_EPOCH, _SMALLEST_BATCH = 64, 16
"""A small log gets smaller batches, down to this size, so that an epoch has about so many steps."""


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
    counts, training = np.bincount(lesson.train.items, minlength=lesson.items), lesson.settings.training
    with _reproducible(processes.threads(training.threads), training.seed):
        network = make_network()
        _start_from_popularity(network, counts)
        network.to(processes.device())
        is_sampled = len(windows.items) * lesson.items > choices.full_softmax_scores
        steps = SampledSteps(network, choices, counts) if is_sampled else WholeSteps(network, choices)
        learner = Learner(network, steps)
        if lesson.checkpoint.exists():
            load(lesson.checkpoint, learner)
        processes.copy_first(list(network.state_dict().values()))
        while not learner.is_done(choices.epochs, choices.patience):
            _learn(learner, windows, training.seed, choices, lesson.progress)
            _judge(learner, lesson, validation)
        network.load_state_dict(learner.best)
    return network.cpu().eval(), learner.scores


def _judge(learner: Learner, lesson: Lesson, validation: Validation | None) -> None:
    """What the epoch is worth; the first process finds out, tells the others and writes the checkpoint."""
    network = learner.network.eval()
    worth = float(len(learner.scores))
    if validation is not None and processes.is_first():  # it may hold no question, and then every epoch is worth 0
        with network.item_table.made_once():
            worth = validation.ndcg_at_10(network.scores)
    learner.scores.append(processes.as_first_says(worth))
    if learner.is_best_now():
        learner.keep_best()
    if processes.is_first():
        save(lesson.checkpoint, learner)
    processes.wait()  # or another would look for the checkpoint of before
    if lesson.watch:
        lesson.watch(len(learner.scores), learner.scores[-1])


def mix_in_best_share(
    network: Sasrec,
    popularity: np.ndarray,
    shares: tuple[float, ...],
    validation: Validation,
    progress: Progress = silent,
) -> float:
    """Mix in the popular list (float32 [items]) by the share with the best NDCG@10 on the validation part, and
    return it. Of equals, the first; the only one needs no question."""
    ndcg = []
    for share in shares if len(shares) > 1 else ():
        network.mix_in_popularity(popularity, share)
        with network.item_table.made_once():
            ndcg.append(validation.ndcg_at_10(network.scores))
        progress("network: shares of popularity", len(ndcg), len(shares))
    best = shares[int(np.argmax(ndcg))] if ndcg else shares[0]
    network.mix_in_popularity(popularity, best)
    return best


def new_sasrec(table: FullTable | CodedTable, items: int, max_history: int, choices: Choices) -> Sasrec:
    """A network around an item table, its other weights random from torch's current seed."""
    return Sasrec(table, items, max_history, choices.dimension, choices.layers, choices.heads, choices.dropout)


def _start_from_popularity(network: Sasrec, counts: np.ndarray) -> None:
    """So that the first steps need not learn what counting knows. A network that has learned keeps its bias."""
    if network.item_bias.any():
        return
    logs = np.log1p(counts)
    with torch.no_grad():
        network.item_bias[: network.items] = torch.from_numpy((logs - logs.mean()).astype(np.float32))


def _learn(
    learner: Learner,
    windows: TrainingWindows | TaughtPrefixes,
    seed: int,
    choices: Choices,
    progress: Progress,
) -> None:
    """One epoch. Its randomness comes from the seed and its number alone, so resuming repeats nothing."""
    epoch = len(learner.scores) + 1
    random = np.random.default_rng([seed, epoch])
    torch.manual_seed(int(random.integers(1 << 62)) + processes.number())  # other dropout in every share
    size = min(choices.batch_size, max(_SMALLEST_BATCH, windows.count // _STEPS_PER_EPOCH))
    batches = windows.epoch(size, random)
    learner.network.train()
    total = torch.zeros(())
    for step, (starts, ends) in enumerate(batches, start=1):
        total += learner.steps.step(windows.batch(starts, ends), random).cpu()
        progress(f"network: epoch {epoch}", step, len(batches))
    if not torch.isfinite(total):
        raise Fault(
            f"the network diverged: the loss of epoch {epoch} is {float(total)}. Lower [sasrec] learning-rate "
            f"(now {choices.learning_rate:g}) and train again."
        )


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
