"""Time-decayed popularity: the baseline, and the list that every artifact falls back to."""

import numpy as np

from contracts.progress import Progress, silent
from models.listing import Listed
from models.splits.interactions import Interactions
from models.validating import Validation

MILLISECONDS_PER_DAY = 86_400_000
DAYS_OF_AN_ORDER = 90
"""How long a log without a clock is taken to have lasted."""


class Popularity:
    """The same scores for every history: `weights` float32 [items]."""

    rung = "popularity"

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]."""
        return np.tile(self.weights, (len(history), 1))

    @property
    def base(self) -> np.ndarray:
        """See `models.listing`."""
        return self.weights

    def listed(self, history: np.ndarray) -> Listed:
        nothing = np.zeros(0, dtype=np.int64)
        return Listed(nothing, nothing, np.zeros(0, dtype=np.float32))

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"popularity": self.weights}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Popularity":
        return cls(arrays["popularity"])


def ages_in_days(times: np.ndarray, has_clock: bool) -> np.ndarray:
    """How long before the newest of them each interaction was, float64.

    An order without a clock counts as if it had run evenly over `DAYS_OF_AN_ORDER`.
    """
    newest = times.max(initial=0)
    span = newest - times.min(initial=newest)
    per_day = MILLISECONDS_PER_DAY if has_clock else max(span / DAYS_OF_AN_ORDER, 1e-9)
    return (newest - times) / per_day


def decayed_weights(interactions: Interactions, items: int, half_life_days: float, has_clock: bool) -> np.ndarray:
    """float32 [items]: each item's sum of weight * 0.5 ** (age / half-life), scaled so that the greatest is 1.

    Ages count from the newest of the interactions. An item without interactions weighs 0.
    """
    decay = 0.5 ** (ages_in_days(interactions.times, has_clock) / half_life_days)
    sums = np.bincount(interactions.items, interactions.weights * decay, minlength=items)
    return (sums / max(sums.max(initial=0), 1e-300)).astype(np.float32)


def choose_half_life(
    earlier: Interactions,
    items: int,
    half_lives_days: tuple[float, ...],
    has_clock: bool,
    validation: Validation,
    progress: Progress = silent,
) -> float:
    """The half-life whose list, made of the `earlier` interactions, has the best NDCG@10 on the validation
    part. Of equals, the first."""
    ndcg = []
    for half_life in half_lives_days:
        model = Popularity(decayed_weights(earlier, items, half_life, has_clock))
        ndcg.append(validation.ndcg_at_10(model))
        progress("popularity: half-lives", len(ndcg), len(half_lives_days))
    return half_lives_days[int(np.argmax(ndcg))]
