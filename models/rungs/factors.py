"""Item vectors from a factorisation of the log: where networks may start, and what codes are assigned from."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh
from threadpoolctl import threadpool_limits

from models.rungs.co_occurrence import count_pairs
from models.splits.interactions import Interactions

_WINDOW = 5

LARGEST_EXACT = 50_000
"""Items up to which the factorisation is exact; from there on its time grows out of hand."""

_OVERSAMPLED, _PASSES = 8, 3
"""Columns more than asked for, and how often the matrix is applied to them before they are a basis."""

_NOTHING = 1e-6
"""Of the greatest squared length: what float32 cannot tell from rounding."""

_ROWS_AT_ONCE = 1 << 14


def item_factors(train: Interactions, users: int, items: int, dimension: int, seed: int) -> np.ndarray:
    """float32 [items, dimension]: truncated SVD of the positive pointwise mutual information of items taken at
    most five interactions apart (Levy and Goldberg, NeurIPS 2014). Zeros for an item without a pair, and in
    dimensions that the log cannot fill. Of many items it is approximate, see `_random_eigenvectors`."""
    pairs = count_pairs(train, users, items, [_WINDOW])[_WINDOW]
    factors = np.zeros((items, dimension), dtype=np.float32)
    rank = min(dimension, items - 2)
    if rank < 1 or not pairs.nnz:
        return factors
    with threadpool_limits(1, "blas"):  # more threads add up in another order: other last digits
        if items > LARGEST_EXACT:
            information = _positive_information_in_place(pairs + pairs.T.tocsr())
            del pairs
            eigenvalues, left = _random_eigenvectors(information, rank, seed)
        else:
            information = _positive_information((pairs + pairs.T).tocoo())
            if not information.nnz:
                return factors
            eigenvalues, left = _eigenvectors(information, rank, seed)
    strengths = np.abs(eigenvalues)
    strongest = np.argsort(-strengths, kind="stable")
    for place, column in enumerate(strongest):
        vector = left[:, column]
        sign = np.sign(vector[np.abs(vector).argmax()])  # a singular vector has no sign of its own
        factors[:, place] = vector * sign * np.sqrt(strengths[column])
    return factors


def _eigenvectors(information: sparse.csr_array, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrix is symmetric, so its eigenvectors are its singular vectors. `svds` gives no seed to the restarts
    that a log of few pairs needs: there every call has other vectors."""
    random = np.random.default_rng(seed)
    start = random.standard_normal(information.shape[0])
    return eigsh(information, k=rank, v0=start, rng=random)


def _random_eigenvectors(information: sparse.csr_array, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvectors of the greatest eigenvalues, near enough to start from: random columns, pulled towards them
    by applying the matrix again and again, are a basis in which the rest is a small problem (Halko, Martinsson
    and Tropp, SIAM Review 2011, algorithms 4.4 and 5.3). Two tables of `rank + 8` columns are all it needs."""
    items = information.shape[0]
    columns = min(rank + _OVERSAMPLED, items)
    basis = np.random.default_rng(seed).standard_normal((items, columns), dtype=np.float32)
    for _ in range(_PASSES):
        basis = _orthonormal(information @ basis)
    applied = information @ basis
    core = _product(basis, applied)
    del applied
    eigenvalues, within = np.linalg.eigh((core + core.T) / 2)
    strongest = np.argsort(-np.abs(eigenvalues), kind="stable")[:rank]
    return eigenvalues[strongest], basis @ within[:, strongest].astype(np.float32)


def _orthonormal(table: np.ndarray) -> np.ndarray:
    """The same space, in place. Directions that are nothing but rounding become zeros."""
    lengths, directions = np.linalg.eigh(_product(table, table))
    kept = lengths > _NOTHING * lengths.max(initial=0)
    scaled = (directions * np.where(kept, 1 / np.sqrt(np.where(kept, lengths, 1)), 0)).astype(np.float32)
    for rows in _pieces(len(table)):
        table[rows] = table[rows] @ scaled
    return table


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """one.T @ other, float64 [columns, columns]."""
    return sum((one[rows].T @ other[rows]).astype(np.float64) for rows in _pieces(len(one)))


def _pieces(count: int) -> list[slice]:
    return [slice(first, first + _ROWS_AT_ONCE) for first in range(0, count, _ROWS_AT_ONCE)]


def _positive_information(counts: sparse.coo_array) -> sparse.csr_array:
    total = counts.sum() or 1.0
    of_item = np.maximum(counts.sum(axis=1), 1e-12)
    information = np.log(counts.data * total / (of_item[counts.row] * of_item[counts.col]))
    kept = information > 0
    places = (counts.row[kept], counts.col[kept])
    return sparse.coo_array((information[kept], places), shape=counts.shape).tocsr()


def _positive_information_in_place(counts: sparse.csr_array) -> sparse.csr_array:
    """As `_positive_information`, in the memory of `counts` and a piece more."""
    of_item = np.maximum(counts.sum(axis=1, dtype=np.float64), 1e-12)
    logs, log_total = np.log(of_item).astype(np.float32), np.float32(np.log(counts.sum(dtype=np.float64) or 1.0))
    for rows in _pieces(counts.shape[0]):
        edges = counts.indptr[rows.start : rows.stop + 1]
        part = slice(edges[0], edges[-1])
        values = counts.data[part]
        np.log(values, out=values)
        values += log_total - np.repeat(logs[rows], np.diff(edges))
        values -= logs[counts.indices[part]]
        np.maximum(values, 0, out=values)
    counts.eliminate_zeros()
    return counts
