"""Matrix factorisation of the user-item matrix, and users folded in by what they did.

Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; learned by the
library `implicit`. A user is the x that solves, with Y the factors of all items and y those of the history,

    (Y'Y + reg I + sum w alpha y y') x = sum w (1 + alpha) y,    w = decay ** age,

where the newest interaction has age 0; the item's score is x . y. With G = Y'Y + reg I = L L', z = L^-1 y and
u = L' x that is (I + sum w alpha z z') u = sum w (1 + alpha) z, and the score is u . z. So the model keeps z
alone: no G, no reg, and a system so close to the identity that a few steps of conjugate gradients solve it.
"""

import functools

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from contracts.machine import cores
from contracts.progress import Progress, silent
from contracts.rung_sections import Ials as Choices
from models.splits.interactions import Interactions
from models.sweep import sweep
from models.validating import Validation

STEPS = 10
"""Of conjugate gradients when a user is folded in: on histories of 50 and at the greatest alpha of the search, the
ten best are those of the exact solution to 98.7 % or better (8 steps: 96.9 %; 12: 99.6 %)."""

SMALLEST = 1e-30
"""Keeps a step that has nothing left to do from dividing 0 by 0."""

_TIE_BREAKER = 1e-6
_HISTORIES_AT_ONCE = 512

_TABLES_AT_LEAST, _NUMBERS_AT_MOST = 2, 500_000_000
"""Item tables kept while the settings are chosen: two, more where 2 GB hold them. 4 bytes a number."""


class Ials:
    """item_table  float32 [items + 1, factors]: z of each item; the last row is 0 and stands for PADDING
    alpha       above 0: how much more an interaction counts than its absence
    decay       from 0 to 1: what the interaction before the newest counts; the one before that, its square; ...
    popularity  float32 [items], the greatest 1
    share       above 0: how much of `popularity` is added to every score; x . y lies near 0 for what a user
                will not take, near 1 for what they will
    """

    rung = "ials"

    def __init__(
        self, item_table: np.ndarray, alpha: float, decay: float, popularity: np.ndarray, share: float
    ) -> None:
        self.item_table = item_table
        self.alpha = alpha
        self.decay = decay
        self.popularity = popularity
        self.share = share

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]. An item that stands twice counts
        twice; an empty history leaves the popular list."""
        pieces = range(0, len(history), _HISTORIES_AT_ONCE)
        folded = [self.fold_in(history[i : i + _HISTORIES_AT_ONCE]) for i in pieces]
        users = np.concatenate([np.zeros((0, self.item_table.shape[1]), np.float32), *folded])
        return users @ self.item_table[:-1].T + np.float32(self.share) * self.popularity

    def fold_in(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, factors]: u after `STEPS` steps from 0."""
        weights = self.recency(history.shape[1])
        rows = self.item_table[history]  # PADDING, -1, is the last row: zeros
        scaled = rows * np.sqrt(np.float32(self.alpha) * weights)[:, None]
        residual = np.float32(1 + self.alpha) * (weights @ rows)
        user, direction, left = np.zeros_like(residual), residual, _squares(residual)
        for _ in range(STEPS):
            felt = (scaled @ direction[:, :, None])[:, :, 0]
            pushed = direction + (felt[:, None, :] @ scaled)[:, 0, :]
            length = left / np.maximum(_squares(direction) + _squares(felt), SMALLEST)
            user = user + length * direction
            residual = residual - length * pushed
            still_left = _squares(residual)
            direction = residual + still_left / np.maximum(left, SMALLEST) * direction
            left = still_left
        return user

    def recency(self, length: int) -> np.ndarray:
        """float32 [length]: the weight of each position of an encoded history."""
        return (self.decay ** np.arange(length - 1, -1, -1)).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "item_table": self.item_table,
            "alpha": np.float32([self.alpha]),
            "decay": np.float32([self.decay]),
            "popularity": self.popularity,
            "share": np.float32([self.share]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Ials":
        alpha, decay, share = (float(arrays[name][0]) for name in ("alpha", "decay", "share"))
        return cls(arrays["item_table"], alpha, decay, arrays["popularity"], share)


def ials_refusal(items: int, choices: Choices) -> str | None:
    """Why there is no iALS of a catalog of so many items, or None where there is one."""
    if items <= choices.max_items:
        return None
    return (
        f"ials is left out: it learns all items anew for every pair of settings it tries, and the catalog holds "
        f"{items:,} items; expected {choices.max_items:,} at most. Raise max-items in [ials] where time allows, "
        "and name fewer regularizations and alphas there."
    )


def fit_ials(
    train: Interactions,
    users: int,
    popularity: np.ndarray,
    choices: Choices,
    chosen: dict[str, float],
    seed: int = 1,
    threads: int = 0,
) -> Ials:
    """The model of the interactions in `train` with the settings `chosen` (see `choose_settings`).

    `popularity` float32 [items], the greatest 1. `threads` 0 takes every core of the cgroup's quota; their
    number changes the time and not the result.
    """
    learner = _learner(choices, chosen["regularization"], seed, threads)
    return _assemble(_item_table(learner, train, users, len(popularity), chosen["alpha"]), popularity, chosen)


def choose_settings(
    earlier: Interactions,
    users: int,
    popularity: np.ndarray,
    choices: Choices,
    validation: Validation,
    progress: Progress = silent,
    seed: int = 1,
    threads: int = 0,
) -> dict[str, float]:
    """The regularization, alpha, decay and popularity with the best NDCG@10 on the validation part for a model
    of the `earlier` interactions; `popularity` float32 [items] is made of them too."""

    @functools.lru_cache(maxsize=max(_TABLES_AT_LEAST, _NUMBERS_AT_MOST // (len(popularity) * choices.factors)))
    def table(regularization: float, alpha: float) -> np.ndarray:
        learner = _learner(choices, regularization, seed, threads)
        return _item_table(learner, earlier, users, len(popularity), alpha)

    def ndcg(choice: dict[str, float]) -> float:
        model = _assemble(table(choice["regularization"], choice["alpha"]), popularity, choice)
        return validation.ndcg_at_10(model.scores)

    options = {
        "regularization": choices.regularizations,
        "alpha": choices.alphas,
        "decay": choices.decays,
        "popularity": choices.popularity,
    }
    return sweep(options, ndcg, "ials: settings", progress)


def _learner(choices: Choices, regularization: float, seed: int, threads: int) -> AlternatingLeastSquares:
    with threadpool_limits(1, "blas"):  # it warns of any other number, even where none is running yet
        return AlternatingLeastSquares(
            factors=choices.factors,
            regularization=regularization,
            alpha=1.0,  # the matrix holds the confidences as they are
            iterations=choices.iterations,
            num_threads=threads or cores(),
            use_gpu=False,  # its default depends on the machine, and so would the numbers
            random_state=seed,
        )


def _item_table(
    learner: AlternatingLeastSquares, interactions: Interactions, users: int, items: int, alpha: float
) -> np.ndarray:
    """float32 [items + 1, factors]: see `Ials`. Confidence is 1 + alpha * the weight of what a user did."""
    rows = (interactions.weights, (interactions.users, interactions.items))
    matrix = sparse.csr_matrix(rows, shape=(users, items), dtype=np.float32)  # sums what stands twice
    matrix.data = 1 + np.float32(alpha) * matrix.data
    with threadpool_limits(1, "blas"):  # more threads add up in another order: other last digits
        learner.fit(matrix, show_progress=False)
        factors = learner.item_factors.astype(np.float64)
        gram = factors.T @ factors + learner.regularization * np.eye(factors.shape[1])
        root = linalg.cholesky(gram, lower=True)
        whitened = linalg.solve_triangular(root, factors.T, lower=True).T
    return np.pad(whitened.astype(np.float32), ((0, 1), (0, 0)))


def _assemble(item_table: np.ndarray, popularity: np.ndarray, chosen: dict[str, float]) -> Ials:
    """Numbers are rounded as they are stored. The tie-breaker orders what an empty history leaves equal."""
    share = max(chosen["popularity"], _TIE_BREAKER)
    alpha, decay, share = (float(np.float32(number)) for number in (chosen["alpha"], chosen["decay"], share))
    return Ials(item_table, alpha, decay, popularity, share)


def _squares(rows: np.ndarray) -> np.ndarray:
    """float32 [batch, 1]: the sum of squares of each row of [batch, n]."""
    return np.square(rows).sum(axis=1, keepdims=True)
