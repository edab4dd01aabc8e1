"""One step of SASRec's learning: over the whole catalog, or over the items that the step needs.

Where several processes learn together, each gets the whole batch and learns from its share of it. Gradients are
added up over all, so every process takes the same step.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from contracts.encoding import PADDING
from contracts.rung_sections import Sasrec as Choices
from models import processes
from models.rungs.item_tables import FullTable
from models.rungs.row_adagrad import RowAdagrad
from models.rungs.sasrec import Sasrec
from models.rungs.sasrec_batches import Batch
from models.rungs.sasrec_loss import sampled_softmax_loss, softmax_loss

_NEGATIVES_EXPONENT = 0.75
"""Negatives are drawn by count to this power: between by popularity (1) and all alike (0)."""

_ROWS_FASTER = 100
"""How much faster rows learn than the learning rate says: Adagrad's steps shrink from the first on."""

_TABLE, _BIAS = "item_table.weight", "item_bias"


class WholeSteps:
    """Softmax over the catalog, Adam over every weight."""

    def __init__(self, network: Sasrec, choices: Choices) -> None:
        self.network = network
        self.adam = _DenseAdam(dict(network.named_parameters()), choices.learning_rate)

    def step(self, batch: Batch, random: np.random.Generator) -> Tensor:
        """Learn from a batch; its loss before that, a scalar."""
        network, whole = self.network, batch
        batch = _own_share(batch)
        states = network.encode(self._sent(batch.history), last_only=batch.only_newest_asks)
        states = _asking(states, batch)
        table = torch.cat([network.item_table.rows(), network.item_bias[:, None]], dim=1)[: network.items]
        pairs = (self._sent(array) for array in (batch.targets, batch.owners, batch.weights))
        loss = _of_all(softmax_loss(_with_one(states), table, *pairs), batch, whole)
        self.adam.zero()
        loss.backward()
        loss = loss.detach()
        processes.add_up([loss, *self.adam.gradients()])
        self.adam.step()
        return loss

    def memory(self) -> dict[str, Tensor]:
        """All that the next step depends on beside the weights."""
        return {f"adam.{name}": tensor for name, tensor in self.adam.moments().items()}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Go on from a `memory`."""
        self.adam.load({name.removeprefix("adam."): tensor for name, tensor in memory.items()})

    def _sent(self, array: np.ndarray) -> Tensor:
        return _sent(array, self.network.positions.device)


class SampledSteps:
    """Softmax over sampled items that stand for the catalog. Only the rows of the batch's items and of the sampled
    ones are looked up, given gradients and changed: what a step costs does not grow with the catalog."""

    def __init__(self, network: Sasrec, choices: Choices, counts: np.ndarray) -> None:
        """`counts` [items]: how often each was interacted with."""
        self.network = network
        self.negatives = choices.negatives
        self._chances = counts**_NEGATIVES_EXPONENT
        self._chances /= self._chances.sum()
        self._reach = self._chances.cumsum()
        self._reach /= self._reach[-1]
        weights = dict(network.named_parameters())
        by_row = (_TABLE, _BIAS) if isinstance(network.item_table, FullTable) else (_BIAS,)
        tables = {name: weights.pop(name).detach() for name in by_row}
        self.rows = RowAdagrad(tables, _ROWS_FASTER * choices.learning_rate)
        self.adam = _DenseAdam(weights, choices.learning_rate)

    def step(self, batch: Batch, random: np.random.Generator) -> Tensor:
        """Learn from a batch; its loss before that, a scalar."""
        network, whole = self.network, batch
        batch = _own_share(batch)
        sampled = self._reach.searchsorted(random.random(self.negatives), side="right")  # as random.choice does
        items = np.unique(np.concatenate([self._padded(whole.history).ravel(), whole.targets, sampled]))
        vectors = network.item_table.rows_of(self._sent(items))
        bias = network.item_bias.detach().index_select(0, self._sent(items)).requires_grad_()
        states = self._states(batch, vectors, items)
        targets, places = (self._sent(np.searchsorted(items, of)) for of in (batch.targets, sampled))
        log_expected = np.log(self._chances[sampled] * len(sampled)).astype(np.float32)
        loss = sampled_softmax_loss(
            _with_one(states), torch.cat([vectors, bias[:, None]], dim=1), targets,
            self._sent(batch.owners), self._sent(batch.weights), places, self._sent(log_expected),
        )  # fmt: skip
        loss = _of_all(loss, batch, whole)
        self.adam.zero()
        loss.backward()
        by_row = {_BIAS: bias.grad} | ({_TABLE: vectors.grad} if vectors.is_leaf else {})
        loss = loss.detach()
        processes.add_up([loss, *self.adam.gradients(), *by_row.values()])
        self.adam.step()
        self.rows.step(self._sent(items), by_row)
        return loss

    def memory(self) -> dict[str, Tensor]:
        """All that the next step depends on beside the weights."""
        own = {f"rows.{name}": tensor for name, tensor in self.rows.squares.items()}
        return own | {f"adam.{name}": tensor for name, tensor in self.adam.moments().items()}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Go on from a `memory`."""
        self.adam.load({n.removeprefix("adam."): t for n, t in memory.items() if n.startswith("adam.")})
        for name, squares in self.rows.squares.items():
            squares.copy_(memory[f"rows.{name}"])

    def _states(self, batch: Batch, vectors: Tensor, items: np.ndarray) -> Tensor:
        history = self._sent(np.searchsorted(items, self._padded(batch.history)))
        padding = self._sent(batch.history == PADDING)
        given = functional.embedding(history, vectors)
        return _asking(self.network.transform(given, padding, last_only=batch.only_newest_asks), batch)

    def _padded(self, history: np.ndarray) -> np.ndarray:
        return np.where(history == PADDING, self.network.items, history)

    def _sent(self, array: np.ndarray) -> Tensor:
        return _sent(array, self.network.positions.device)


class _DenseAdam:
    """Torch's Adam, its moments by the names of the weights."""

    def __init__(self, weights: dict[str, Tensor], learning_rate: float) -> None:
        self._weights = weights
        self._adam = torch.optim.Adam(weights.values(), lr=learning_rate, fused=True)

    def zero(self) -> None:
        self._adam.zero_grad(set_to_none=True)

    def step(self) -> None:
        self._adam.step()

    def gradients(self) -> list[Tensor]:
        return [weight.grad for weight in self._weights.values() if weight.grad is not None]

    def moments(self) -> dict[str, Tensor]:
        names, state = list(self._weights), self._adam.state_dict()["state"]
        return {f"{names[place]}.{kind}": t for place, of_one in state.items() for kind, t in of_one.items()}

    def load(self, moments: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for place, name in enumerate(self._weights):
            kinds = {n.removeprefix(f"{name}."): t for n, t in moments.items() if n.startswith(f"{name}.")}
            state |= {place: kinds} if kinds else {}
        self._adam.load_state_dict({"state": state, "param_groups": self._adam.state_dict()["param_groups"]})


def _own_share(batch: Batch) -> Batch:
    return batch.share(processes.number(), processes.count()) if processes.count() > 1 else batch


def _of_all(loss: Tensor, share: Batch, whole: Batch) -> Tensor:
    """What a share adds to the weighted mean over the whole batch."""
    if share is whole:
        return loss
    return loss * float(share.weights.sum() / max(float(whole.weights.sum()), 1e-30))


def _asking(states: Tensor, batch: Batch) -> Tensor:
    """The states float32 [positions, d] that have a next basket."""
    states = states.flatten(0, 1)
    return states if batch.only_newest_asks else states.index_select(0, _sent(batch.asking, states.device))


def _with_one(states: Tensor) -> Tensor:
    return torch.cat([states, torch.ones_like(states[:, :1])], dim=1)  # what the bias is multiplied by


def _sent(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)
