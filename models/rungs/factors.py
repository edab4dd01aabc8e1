"""Item vectors from a factorisation of the log: where networks may start, and what codes are assigned from."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh
from threadpoolctl import threadpool_limits

from models.rungs.co_occurrence import count_pairs
from models.splits.interactions import Interactions

_WINDOW = 5

LARGEST_FACTORISED = 50_000
"""Items up to which it is worth its time; from there on networks start without."""


def item_factors(train: Interactions, users: int, items: int, dimension: int, seed: int) -> np.ndarray:
    """float32 [items, dimension]: truncated SVD of the positive pointwise mutual information of items taken at
    most five interactions apart (Levy and Goldberg, NeurIPS 2014). Zeros for an item without a pair, and in
    dimensions that the log cannot fill."""
    pairs = count_pairs(train, users, items, [_WINDOW])[_WINDOW]
    information = _positive_information((pairs + pairs.T).tocoo())
    rank = min(dimension, items - 2)
    factors = np.zeros((items, dimension), dtype=np.float32)
    if rank < 1 or not information.nnz:
        return factors
    random = np.random.default_rng(seed)
    start = random.standard_normal(items)
    # The matrix is symmetric, so its eigenvectors are its singular vectors. `svds` gives no seed to the restarts
    # that a log of few pairs needs: there every call has other vectors.
    with threadpool_limits(1, "blas"):  # more threads add up in another order: other last digits
        eigenvalues, left = eigsh(information, k=rank, v0=start, rng=random)
    strengths = np.abs(eigenvalues)
    strongest = np.argsort(-strengths, kind="stable")
    left, strengths = left[:, strongest], strengths[strongest]
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(rank)])  # a singular vector has no sign of its own
    factors[:, :rank] = left * signs * np.sqrt(strengths)
    return factors


def _positive_information(counts: sparse.coo_array) -> sparse.csr_array:
    total = counts.sum() or 1.0
    of_item = np.maximum(counts.sum(axis=1), 1e-12)
    information = np.log(counts.data * total / (of_item[counts.row] * of_item[counts.col]))
    kept = information > 0
    places = (counts.row[kept], counts.col[kept])
    return sparse.coo_array((information[kept], places), shape=counts.shape).tocsr()
