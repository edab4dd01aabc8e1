"""A log in which every visit is a new user: judged by what follows within the visit."""

import numpy as np
import pytest

from contracts.artifact import open_artifact
from contracts.sections import Export, Measuring, Paths, Settings, Training
from export.exporting import export_run
from export.measuring.measure import measure
from models.splits.questions import EVERY_PREFIX, holdout_questions, is_log_of_sessions, validation_questions
from models.splits.split import make_split
from models.training import train


def write_sessions(path, signal: float):
    """600 visits of four items out of 40; with a signal, each item is followed by the next one."""
    random = np.random.default_rng(1)
    rows = ["user_id,item_id,timestamp"]
    for visit in range(600):
        item = random.integers(40)
        for step in range(4):
            rows.append(f"visit{visit:03},i{item:02},{visit * 600 + step * 10}")
            item = (item + 1) % 40 if random.random() < signal else random.integers(40)
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(params=[0.9, 0.0], ids=["signal", "noise"])
def sessions(request, tmp_path):
    split = make_split(write_sessions(tmp_path / "log.csv", request.param), tmp_path / "cut", Settings())
    return request.param > 0, split


def test_log_whose_visitors_never_return_is_taken_for_one_of_sessions(sessions, measured):
    from models.splits.split import open_split

    _, split = sessions
    assert is_log_of_sessions(split)
    (returning,) = {path.parent for path in measured.settings.paths.runs.rglob("split.json")}
    assert not is_log_of_sessions(open_split(returning))


def test_questions_are_the_prefixes_of_later_visits(sessions):
    _, split = sessions
    for questions, part in (
        (validation_questions(split), split.validation),
        (holdout_questions(split), split.holdout()),
    ):
        assert questions.protocol == EVERY_PREFIX
        assert len(questions) == len(part) - len(np.unique(part.users))


def test_the_ladder_is_tuned_and_measured_within_visits(sessions, tmp_path):
    has_signal, split = sessions
    paths = Paths(**{name: tmp_path / name for name in ("artifacts", "runs", "reports", "bundle", "state")})
    settings = Settings(
        paths=paths,
        training=Training(threads=1),
        export=Export(variants=("fp32",)),
        measuring=Measuring(rounds=1, calls_per_round=5, batch_sizes=(1,), resamples=200),
    )
    artifacts = []
    for name in ("popularity", "item-to-item"):
        (attempt,) = export_run(train(split, name, settings), settings)
        artifacts.append(open_artifact(paths.artifacts / attempt.artifact))
    _, neighbours = measure(artifacts, split, settings)
    assert neighbours.measured.quality.protocol == "every-prefix"
    gain = neighbours.measured.against_baseline.difference
    assert gain.low > 0.3 if has_signal else gain.high < 0.1
