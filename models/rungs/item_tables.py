"""The item table of a network: one vector per item, or codes into shared centroids (RecJPQ, WSDM 2024).

Both have `items + 1` rows; the last stands for PADDING.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.cluster.vq import kmeans2, vq
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

_SPREAD = 0.02
"""Standard deviation of initial vectors."""

_NOISE = 0.1
"""Part of it that stays random where vectors start from factors: no two items start as the same."""

_SPARE = 16
"""One centroid in so many is for items that the factorisation knows nothing of."""

_ROUNDS = 15
"""Of k-means."""

_CLUSTERED = 1 << 16
"""Vectors that k-means looks at; of more, so many are drawn, and all go to the nearest of the means then."""


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

    def rows_of(self, items: Tensor) -> Tensor:
        """Rows int64 [n] of the table, float32 [n, d], to learn by themselves: `weight` gets no gradient."""
        return self.weight.detach().index_select(0, items).requires_grad_()

    @contextmanager
    def made_once(self) -> Iterator[None]:
        """As `CodedTable` has it: there is nothing to make."""
        yield

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
        self._made: Tensor | None = None

    def rows(self) -> Tensor:
        parts = [functional.embedding(self.codes[:, i], own) for i, own in enumerate(self.centroids)]
        return torch.cat(parts, dim=1)

    def rows_of(self, items: Tensor) -> Tensor:
        """Rows int64 [n] of the table, float32 [n, d]; nothing is made of the codes of others."""
        codes = self.codes.index_select(0, items)
        return torch.cat([functional.embedding(codes[:, i], own) for i, own in enumerate(self.centroids)], dim=1)

    @contextmanager
    def made_once(self) -> Iterator[None]:
        """Inside, the rows are made once, not at every call; the centroids must stay as they are."""
        self._made = self.rows().detach()
        try:
            yield
        finally:
            self._made = None

    def forward(self, indices: Tensor) -> Tensor:
        return functional.embedding(indices, self.rows() if self._made is None else self._made)

    def scores(self, states: Tensor, bias: Tensor) -> Tensor:
        """States [batch, d] -> [batch, items + 1]."""
        return functional.linear(states, self.rows() if self._made is None else self._made, bias)


def coded_table(factors: np.ndarray, codebooks: int, centroids: int, seed: int) -> CodedTable:
    """Codes from item factors float32 [items, d]: the factors are rotated at random, so that every part of them
    carries as much, cut into `codebooks` parts, and each part is clustered by k-means. Centroids start at the
    means of their clusters: the table starts near the factors, as an uncompressed one does.

    Items of which the factorisation knows nothing are spread over centroids of their own near zero, or they
    would all share one vector. `codebooks` must be a divisor of d, see `jpq_refusal`.
    """
    items, dimension = factors.shape
    random = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(random.standard_normal((dimension, dimension)))
    with threadpool_limits(1, "blas"):  # more threads add up in another order: other last digits
        rotated = factors @ rotation.astype(np.float32)
    rotated *= _SPREAD / max(float(factors.std()), 1e-9)
    is_known = factors.any(axis=1)
    known, unknown = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    spare = max(1, centroids // _SPARE) if len(unknown) else 0
    count = min(centroids - spare, len(known))
    codes = np.zeros((items + 1, codebooks), dtype=np.uint8)
    shape = (codebooks, count + spare, dimension // codebooks)
    vectors = random.normal(scale=_NOISE * _SPREAD, size=shape).astype(np.float32)
    for place in range(codebooks):
        part = rotated[known, place * shape[2] : (place + 1) * shape[2]]
        if count:
            vectors[place, :count], codes[known, place] = _cluster(part, count, random)
        codes[unknown, place] = count + random.permutation(len(unknown)) % max(spare, 1)
    return CodedTable(codes, vectors)


def quantised_table(vectors: np.ndarray, codebooks: int, centroids: int, seed: int) -> CodedTable:
    """Codes of vectors float32 [items + 1, d] that a network has learned: each part is clustered as it is, and the
    means are the centroids, so the network's other weights keep their meaning."""
    random, count = np.random.default_rng(seed), min(centroids, len(vectors))
    parts = np.split(vectors, codebooks, axis=1)
    clustered = [_cluster(np.ascontiguousarray(part), count, random) for part in parts]
    codes = np.stack([own for _, own in clustered], axis=1).astype(np.uint8)
    return CodedTable(codes, np.stack([means for means, _ in clustered]))


def _cluster(vectors: np.ndarray, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means float32 [count, width] and the cluster of each of `vectors`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster is a centroid that nobody uses
        if len(vectors) <= _CLUSTERED:
            return kmeans2(vectors, count, iter=_ROUNDS, minit="points", rng=random)
        drawn = np.sort(random.choice(len(vectors), _CLUSTERED, replace=False))
        means, _ = kmeans2(vectors[drawn], count, iter=_ROUNDS, minit="points", rng=random)
    nearest = [vq(vectors[i : i + _CLUSTERED], means)[0] for i in range(0, len(vectors), _CLUSTERED)]
    return means, np.concatenate(nearest)


def jpq_refusal(dimension: int, codebooks: int) -> str | None:
    """Why there is no coded table of such vectors, or None where there is one."""
    if dimension % codebooks == 0:
        return None
    return (
        f"sasrec:jpq is left out: [jpq] codebooks = {codebooks}; expected a divisor of [sasrec] dimension = "
        f"{dimension}, since each codebook gives an equal part of the vector."
    )
