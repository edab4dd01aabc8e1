"""Small logs on disk."""

from pathlib import Path

import numpy as np
import pytest

from models.interactions import Interactions
from models.sample import write_sample


@pytest.fixture
def write_csv(tmp_path):
    """Write lines under a header, and return the path."""

    def write(lines, header="user_id,item_id,timestamp", name="interactions.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory) -> Path:
    """A log of 4,000 interactions by 200 users with 150 items, with sessions and titles."""
    folder = tmp_path_factory.mktemp("sample") / "log"
    write_sample(folder, users=200, items=150, interactions=4_000, seed=3, signal=0.8, sessions=True)
    return folder


@pytest.fixture
def interactions_of():
    """Interactions from rows (user, item, time) or (user, item, time, session)."""

    def make(*rows) -> Interactions:
        has_sessions = bool(rows) and len(rows[0]) == 4
        columns = np.array(rows, dtype=np.int64).reshape(len(rows), 4 if has_sessions else 3).T
        users = columns[0].astype(np.int32)
        return Interactions(
            users=users,
            items=columns[1].astype(np.int32),
            times=columns[2],
            sessions=columns[3].astype(np.int32) if has_sessions else users,
            weights=np.ones(len(rows), dtype=np.float32),
            has_sessions=has_sessions,
        )

    return make
