"""Users with a taste for one group of items, or for none: what a counting model can learn, or cannot."""

import numpy as np

from models.validating import Validation

GROUPS, SIZE, TAKEN = 4, 8, 5
ITEMS, USERS = GROUPS * SIZE, 240
POPULARITY = np.linspace(1, 0.5, ITEMS).astype(np.float32)


def tastes(seed: int, has_taste: bool) -> np.ndarray:
    """int [USERS, TAKEN + 1]: what each user takes, the last of it to be guessed. Of one group, or of all."""
    random = np.random.default_rng(seed)
    taken = [random.choice(SIZE if has_taste else ITEMS, TAKEN + 1, replace=False) for _ in range(USERS)]
    first_of_group = SIZE * (np.arange(USERS) % GROUPS) if has_taste else np.zeros(USERS, dtype=int)
    return np.array(taken) + first_of_group[:, None]


def ndcg(model, taken: np.ndarray) -> float:
    asked = Validation(list(taken[:, :-1]), taken[:, -1].tolist(), ITEMS, max_history=10)
    return asked.best_policy(model.scores)[1]["mask"]
