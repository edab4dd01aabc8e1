import numpy as np
import pytest

from contracts.faults import UsageFault
from contracts.sections import Log as Columns
from models.logs import sample
from models.logs.checks import ensure_trainable
from models.logs.log import read_log
from models.logs.sample import write_sample
from models.splits.codes import as_interactions
from models.splits.interactions import group_by_user


def read_sample(folder, **changes):
    sizes = {"users": 300, "items": 200, "interactions": 12_000, "seed": 5, "signal": 0.8} | changes
    write_sample(folder, **sizes)
    return read_log(folder, Columns())


def histories_of(log):
    rows = as_interactions(log, {}, {})
    return group_by_user(rows, len(log.user_ids))


def share_of_repeated_pairs(histories) -> float:
    """How many of all steps from one item to the next are a step that was made before."""
    rows = histories.rows
    steps = np.stack([rows.items[:-1], rows.items[1:]])[:, np.diff(rows.users) == 0]
    return 1 - len(np.unique(steps, axis=1).T) / steps.shape[1]


def test_sample_has_the_size_asked_for_and_can_be_trained_on(tmp_path):
    log = read_sample(tmp_path / "log")
    ensure_trainable(log.report)
    assert log.report.rows_read == 12_000
    assert 285 <= log.report.users <= 300
    assert 180 <= log.report.items <= 200
    assert log.report.out_of_order_rows == 0
    assert log.report.titles_found == log.report.items
    assert log.report.timestamp_kind == "epoch seconds"
    assert 59 < (log.report.last_time - log.report.first_time) / 86_400_000 <= 60


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    logs = [read_sample(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert logs[0].sha256 == logs[1].sha256 != logs[2].sha256


def test_parquet_holds_what_csv_holds(tmp_path):
    shape = {"sessions": True, "interactions": 30_000}
    text, parts = (
        read_sample(tmp_path / "csv", **shape),
        read_sample(tmp_path / "parquet", kind="parquet", **shape),
    )
    assert len(list((tmp_path / "parquet").glob("part-*.parquet"))) == 40
    assert parts.titles == text.titles and parts.item_ids == text.item_ids
    assert parts.frame.cast({"session_id": str}).equals(text.frame.cast({"session_id": str}))


def test_sample_in_one_format_replaces_one_in_the_other(tmp_path):
    read_sample(tmp_path / "log", kind="parquet")
    read_sample(tmp_path / "log", interactions=500)
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["interactions.csv", "items.csv"]


def test_ids_of_a_million_items_are_as_long_as_each_other():
    """And those of fewer keep their six digits."""
    assert sample._ids("", 3, width=sample._id_width(999_999)).to_list() == ["000001", "000002", "000003"]
    assert sample._ids("", 1, width=sample._id_width(1_000_000)).to_list() == ["0000001"]


def test_a_few_items_take_a_large_share(tmp_path):
    for signal in (0.0, 0.8):
        log = read_sample(tmp_path / str(signal), signal=signal)
        counts = np.sort(np.bincount(log.frame["item_id"].to_physical().to_numpy()))[::-1]
        assert counts[:20].sum() > 0.25 * counts.sum(), "a tenth of the items"


def test_signal_makes_steps_come_again_and_noise_does_not(tmp_path):
    steps = {}
    for signal in (0.0, 0.8):
        histories = histories_of(read_sample(tmp_path / str(signal), signal=signal, items=2_000))
        shuffled = histories.rows.take(np.random.default_rng(0).permutation(len(histories.rows)))
        steps[signal] = (
            share_of_repeated_pairs(histories),
            share_of_repeated_pairs(group_by_user(shuffled, len(histories.offsets) - 1)),
        )
    assert steps[0.8][0] > 2 * steps[0.8][1]
    assert steps[0.0][0] == pytest.approx(steps[0.0][1], abs=0.02)


def test_users_arrive_over_time(tmp_path):
    log = read_sample(tmp_path / "log")
    users = log.frame["user_id"].to_physical().to_numpy()
    _, first = np.unique(users, return_index=True)
    assert (first > len(users) / 2).sum() > 30


def test_sessions_are_visits_of_one_user(sample_folder):
    log = read_log(sample_folder, Columns())
    assert log.report.sessions == log.frame["session_id"].n_unique()
    assert 2 < log.report.rows_kept / log.report.sessions < 6


def test_more_users_than_interactions_is_no_error(tmp_path):
    assert read_sample(tmp_path / "log", users=500, interactions=100).report.rows_read == 100


@pytest.mark.parametrize("change", [{"users": 0}, {"items": 0}, {"interactions": 0}, {"signal": 1.1}])
def test_impossible_sizes_are_refused(tmp_path, change):
    with pytest.raises(UsageFault, match="expected at least one of each"):
        read_sample(tmp_path / "log", **change)
    assert not (tmp_path / "log").exists()


def test_folder_with_other_things_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(UsageFault, match=r"thesis\.txt"):
        read_sample(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_earlier_sample_is_replaced_whole(tmp_path):
    read_sample(tmp_path / "log")
    assert read_sample(tmp_path / "log", interactions=500).report.rows_read == 500
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["interactions.csv", "items.csv"]


def test_interruption_leaves_nothing(tmp_path):
    def interrupt(task, done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_sample(tmp_path / "log", progress=interrupt)
    assert list(tmp_path.iterdir()) == []
