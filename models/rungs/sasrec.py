"""SASRec: a causal transformer over the history (Kang and McAuley, ICDM 2018). The network only.

It differs from the paper in what has served better since: normalisation before each sublayer, a wider
feed-forward net with GELU, positions counted from the newest item, a bias per item for its popularity.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.encoding import PADDING
from models.rungs.item_tables import CodedTable, FullTable

_SPREAD = 0.02
"""Standard deviation of the initial positions."""

_HIDDEN = -1e9
"""Attention logit of what a query must not see. Finite, so that an all-padding row yields no NaN."""

_CODES = "item_table.codes"

_NEVER = -80.0
"""Log of a probability that adds nothing to any other. Finite, as -inf marks excluded items."""


class Block(nn.Module):
    """One layer: attention, then a feed-forward net four times as wide, each normed first and residual."""

    def __init__(self, dimension: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dimension)
        self.query = nn.Linear(dimension, dimension)
        self.key = nn.Linear(dimension, dimension)
        self.value = nn.Linear(dimension, dimension)
        self.mix = nn.Linear(dimension, dimension)
        self.feed_norm = nn.LayerNorm(dimension)
        self.widen = nn.Linear(dimension, 4 * dimension)
        self.narrow = nn.Linear(4 * dimension, dimension)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, hidden: Tensor, last_only: bool) -> Tensor:
        """States [batch, length, d] -> the same, or [batch, 1, d] where `last_only` the newest asks.

        `hidden` bool [batch, 1, length or 1, length] is true where a query must not look.
        """
        normed = self.attention_norm(states)
        key, value = self._by_head(self.key(normed)), self._by_head(self.value(normed))
        if last_only:
            states, normed = states[:, -1:], normed[:, -1:]
        query = self._by_head(self.query(normed))
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = self.dropout(logits.masked_fill(hidden, _HIDDEN).softmax(dim=-1))
        states = states + self.dropout(self.mix((weights @ value).transpose(1, 2).flatten(2)))
        wide = functional.gelu(self.widen(self.feed_norm(states)))
        return states + self.dropout(self.narrow(wide))

    def _by_head(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Sasrec(nn.Module):
    """History int32 [batch, length] -> scores float32 [batch, items + 1]; the last column is the padding's.

    Scores are `encode(history) @ item_table.rows().T + item_bias`; row `items` stands for PADDING. The newest
    item is in the last column and has the last position, whatever the length (at most `max_history`). After
    `mix_in_popularity` they are log(softmax(those scores) + exp(log_popular)).
    """

    rung = "sasrec"
    last_only = True  # the last layer computes the newest position alone; all of them give the same answer

    def __init__(
        self,
        item_table: FullTable | CodedTable,
        items: int,
        max_history: int,
        dimension: int,
        layers: int,
        heads: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.items = items
        self.item_table = item_table
        self.item_bias = nn.Parameter(torch.zeros(items + 1))
        self.positions = nn.Parameter(torch.empty(max_history, dimension))
        self.blocks = nn.ModuleList(Block(dimension, heads, dropout) for _ in range(layers))
        self.final_norm = nn.LayerNorm(dimension)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("log_popular", None)
        nn.init.normal_(self.positions, std=_SPREAD)

    def forward(self, history: Tensor) -> Tensor:
        newest = self.encode(history, last_only=self.last_only)[:, -1]
        scores = self.item_table.scores(newest, self.item_bias)
        if self.log_popular is None:
            return scores
        return torch.logaddexp(scores.log_softmax(dim=-1), self.log_popular)

    def mix_in_popularity(self, popularity: np.ndarray, share: float) -> None:
        """Add `share` times the popular list to the network's probabilities; 0 leaves its own scores.

        The softmax learns what was popular over the whole training part; `popularity` float32 [items] says
        what is popular at its end.
        """
        with np.errstate(divide="ignore"):
            logs = np.log(share * popularity / popularity.sum())
        padded = torch.from_numpy(np.append(np.maximum(logs, _NEVER), _NEVER).astype(np.float32))
        self.log_popular = padded.to(self.positions.device) if share else None

    def encode(self, history: Tensor, last_only: bool) -> Tensor:
        """What the network makes of a history: float32 [batch, length, d], or [batch, 1, d] of the newest."""
        padding = history == PADDING
        return self.transform(self.item_table(history.masked_fill(padding, self.items)), padding, last_only)

    def transform(self, vectors: Tensor, padding: Tensor, last_only: bool) -> Tensor:
        """As `encode`, of the items' vectors float32 [batch, length, d] and where bool [batch, length] is none."""
        length = vectors.shape[1]
        states = self.dropout(vectors * math.sqrt(vectors.shape[-1]) + self.positions[-length:])
        keys_hidden = padding[:, None, None, :]
        future = torch.ones(length, length, dtype=torch.bool, device=vectors.device).triu(1)
        last = len(self.blocks) - 1
        for depth, block in enumerate(self.blocks):
            newest = last_only and depth == last
            states = block(states, keys_hidden if newest else keys_hidden | future, newest)
        return self.final_norm(states)

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded history int32 [batch, length] -> float32 [batch, items]; dropout is off."""
        return self.scores_and_padding(history)[:, : self.items]

    @torch.inference_mode()
    def scores_and_padding(self, history: np.ndarray) -> np.ndarray:
        """As `scores`, with the column of PADDING: float32 [batch, items + 1]."""
        training = self.training
        self.eval()
        scores = self(torch.from_numpy(history).to(self.positions.device))
        self.train(training)
        return scores.cpu().numpy()

    def to_arrays(self) -> dict[str, np.ndarray]:
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        if _CODES in arrays:
            arrays[_CODES] = arrays[_CODES].astype(np.uint8)
        return arrays | {"heads": np.int32([self.blocks[0].heads])}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Sasrec":
        items, (max_history, dimension) = len(arrays["item_bias"]) - 1, arrays["positions"].shape
        layers = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("blocks."))
        if _CODES in arrays:
            table = CodedTable(arrays[_CODES], arrays["item_table.centroids"])
            arrays = arrays | {_CODES: arrays[_CODES].astype(np.int32)}
        else:
            table = FullTable(items, dimension)
        network = cls(table, items, max_history, dimension, layers, int(arrays["heads"][0]))
        network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in network.state_dict()})
        if "log_popular" in arrays:
            network.log_popular = torch.from_numpy(arrays["log_popular"])
        return network.eval()
