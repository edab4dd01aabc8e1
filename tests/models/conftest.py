"""Small logs on disk."""

import sys
from pathlib import Path

import numpy as np
import pytest

from contracts.rung_sections import Ease, Ials, ItemToItem, Jpq, Popularity, Sasrec, Student, VmisKnn
from contracts.sections import Paths, Settings, Training
from models.logs.sample import write_sample
from models.splits.interactions import Interactions
from models.splits.split import make_split

sys.path.insert(0, str(Path(__file__).parent))


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


@pytest.fixture(scope="session")
def quick_settings():
    """Settings that learn in a moment: `quick_settings(runs, **sasrec)`."""

    def make(runs, **sasrec) -> Settings:
        return Settings(
            paths=Paths(runs=runs),
            training=Training(max_history=10, threads=1),
            popularity=Popularity(half_lives_days=(7.0, 365.0)),
            item_to_item=ItemToItem(neighbours=(5,), windows=(1, 5), decays=(0.3, 0.85)),
            sasrec=Sasrec(**({"dimension": 8, "layers": 1, "heads": 1, "epochs": 3} | sasrec)),
            vmis_knn=VmisKnn(neighbours=(10, 50), decays=(0.6,), popularity=(0.3,)),
            ials=Ials(factors=8, iterations=3, regularizations=(0.1,), alphas=(10.0,)),
            ease=Ease(l2=(100.0,), decays=(0.6,)),
            jpq=Jpq(codebooks=2, centroids=16),
            student=Student(dimension=4, prefixes=300, guesses=5),
        )

    return make


@pytest.fixture(scope="module")
def split(tmp_path_factory, sample_folder):
    return make_split(sample_folder, tmp_path_factory.mktemp("split") / "cut", Settings())
