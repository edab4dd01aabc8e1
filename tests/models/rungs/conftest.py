import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def log_of(interactions_of):
    """Interactions of users in the order of time."""

    def make(taken: np.ndarray):
        return interactions_of(*[(u, int(i), t) for t, row in enumerate(taken.T) for u, i in enumerate(row)])

    return make
