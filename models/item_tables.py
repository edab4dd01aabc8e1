"""The item table of a network: one vector per item, or codes into shared centroids (RecJPQ, WSDM 2024).

Both have `items + 1` rows; the last stands for PADDING.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_SPREAD = 0.02
"""Standard deviation of initial vectors."""

_NOISE = 0.1
"""Part of it that stays random where vectors start from factors: no two items start as the same."""


class FullTable(nn.Embedding):
    """float32 [items + 1, d]. Starts at random, or near item factors float32 [items, d]."""

    def __init__(self, items: int, dimension: int, factors: np.ndarray | None = None) -> None:
        super().__init__(items + 1, dimension)
        nn.init.normal_(self.weight, std=_SPREAD)
        if factors is not None:
            spread = max(float(factors.std()), 1e-9)
            with torch.no_grad():
                self.weight[:items].mul_(_NOISE).add_(torch.from_numpy(factors), alpha=_SPREAD / spread)

    def rows(self) -> Tensor:
        return self.weight

    def scores(self, states: Tensor, bias: Tensor) -> Tensor:
        """States [batch, d] -> [batch, items + 1]."""
        return functional.linear(states, self.weight, bias)


class CodedTable(nn.Module):
    """An item's vector is the concatenation of one centroid from each codebook.

    codes      uint8 [items + 1, codebooks]; kept as int32 here, since torch looks up nothing smaller
    centroids  float32 [codebooks, centroids, d / codebooks], learned together with the network

    The vectors are made of these wherever they are needed: in training at every step, in a graph once, when it
    is loaded. Where the file lies, and what is shipped, holds the codes.
    """

    def __init__(self, codes: np.ndarray, centroids: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("codes", torch.from_numpy(codes.astype(np.int32)))
        self.centroids = nn.Parameter(torch.from_numpy(centroids.astype(np.float32)))

    def rows(self) -> Tensor:
        parts = [functional.embedding(self.codes[:, i], own) for i, own in enumerate(self.centroids)]
        return torch.cat(parts, dim=1)

    def forward(self, indices: Tensor) -> Tensor:
        return functional.embedding(indices, self.rows())

    def scores(self, states: Tensor, bias: Tensor) -> Tensor:
        """States [batch, d] -> [batch, items + 1]."""
        return functional.linear(states, self.rows(), bias)


def coded_table(factors: np.ndarray, dimension: int, centroids: int, seed: int) -> CodedTable:
    """Codes from item factors float32 [items, codebooks]: each column is cut into `centroids` bins of equal
    size, so that neighbours in the factorisation share centroids. Centroids start at random.

    `codebooks` must be a divisor of `dimension`, see `jpq_refusal`.
    """
    items, codebooks = factors.shape
    count = min(centroids, items)
    codes = np.zeros((items + 1, codebooks), dtype=np.uint8)
    for place in range(codebooks):
        order = np.argsort(factors[:, place], kind="stable")
        codes[order, place] = np.arange(items) * count // items
    random = np.random.default_rng(seed)
    return CodedTable(codes, random.normal(scale=_SPREAD, size=(codebooks, count, dimension // codebooks)))


def jpq_refusal(dimension: int, codebooks: int) -> str | None:
    """Why there is no coded table of such vectors, or None where there is one."""
    if dimension % codebooks == 0:
        return None
    return (
        f"sasrec:jpq is left out: [jpq] codebooks = {codebooks}; expected a divisor of [sasrec] dimension = "
        f"{dimension}, since each codebook gives an equal part of the vector."
    )
