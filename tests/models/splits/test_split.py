import msgspec
import numpy as np
import pytest

from contracts.faults import LogFault, UsageFault, VerdictIsNo
from contracts.sections import Log as Columns
from contracts.sections import Settings
from contracts.sections import Split as SplitSettings
from models.logs.log import read_log
from models.splits.interactions import concatenate
from models.splits.split import default_split_folder, make_split, open_split, split_identity

BY_TIME = Settings()
LAST_OUT = Settings(split=SplitSettings(protocol="leave-one-out"))


def log_lines(times):
    return [f"u{n % 4},i{n % 11:02d},{time}" for n, time in enumerate(times)]


def parts_of(split):
    return split.train, split.validation, split.holdout()


@pytest.fixture
def sample_split(sample_folder, tmp_path):
    return make_split(sample_folder, tmp_path / "split", BY_TIME)


def test_time_split_cuts_eighty_ten_ten(write_csv, tmp_path):
    split = make_split(write_csv(log_lines(range(100))), tmp_path / "split", BY_TIME)
    assert [len(part) for part in parts_of(split)] == [80, 10, 10]
    assert (split.description.validation_cutoff, split.description.holdout_cutoff) == (80, 90)
    assert split.description.parts["holdout"].interactions == 10


def test_nothing_before_a_cutoff_is_later_than_what_comes_after(sample_split):
    train, validation, holdout = parts_of(sample_split)
    cutoffs = sample_split.description
    assert train.times.max() < cutoffs.validation_cutoff <= validation.times.min()
    assert validation.times.max() < cutoffs.holdout_cutoff <= holdout.times.min()


def test_rows_of_one_time_stay_on_one_side(write_csv, tmp_path):
    times = [*range(70), *[70] * 14, *range(71, 87)]
    split = make_split(write_csv(log_lines(times)), tmp_path / "split", BY_TIME)
    assert split.description.validation_cutoff == 71, "84 rows are nearer to 80 than 70 are"
    assert [len(part) for part in parts_of(split)] == [84, 6, 10]


def test_baskets_are_never_torn_by_the_time_split(write_csv, tmp_path):
    lines = [f"u{n % 4},i{n % 11:02d},{n // 7},s{n // 7}" for n in range(200)]
    path = write_csv(lines, header="user_id,item_id,timestamp,session_id")
    parts = parts_of(make_split(path, tmp_path / "split", BY_TIME))
    sessions = [set(part.sessions.tolist()) for part in parts]
    assert not (sessions[0] & sessions[1] or sessions[1] & sessions[2])


def test_leave_one_out_takes_the_last_two_of_each_user(write_csv, tmp_path):
    lines = [f"u{n % 4},i{n % 11:02d},{n}" for n in range(48)] + ["short,i01,100", "short,i02,101"]
    split = make_split(write_csv(lines), tmp_path / "split", LAST_OUT)
    train, validation, holdout = parts_of(split)
    assert sorted(holdout.times) == [44, 45, 46, 47]
    assert sorted(validation.times) == [40, 41, 42, 43]
    assert train.times[-2:].tolist() == [100, 101], "a user with two interactions is all train"
    assert (split.description.validation_cutoff, split.description.holdout_cutoff) == (None, None)


def test_leave_one_out_breaks_ties_by_the_order_of_the_file(write_csv, tmp_path):
    lines = [f"u{user},i{user}{place},7" for user in range(3) for place in range(5)] + ["u0,i99,1"]
    split = make_split(write_csv(lines), tmp_path / "split", LAST_OUT)
    assert [split.item_ids[item] for item in split.holdout().items] == ["i04", "i14", "i24"]


def test_catalog_is_what_train_holds_most_frequent_first(write_csv, tmp_path):
    lines = [f"u{n % 4},i{n % 10},{n}" for n in range(80)]
    lines += ["u0,b,80", "u1,b,81", "u2,a,82", "u0,new2,94", "u1,new1,99"]
    lines += [f"u{n % 4},i{n % 10},{n}" for n in (83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 95, 96, 97, 98)]
    split = make_split(write_csv(lines), tmp_path / "split", BY_TIME)
    assert split.item_ids == [*(f"i{n}" for n in range(10)), "a", "b", "new1", "new2"]
    assert split.catalog_size == split.description.items == 10
    assert split.train.items.max() < 10
    assert split.description.holdout_items_outside_catalog == 2


def test_parts_together_are_the_log_in_its_order(sample_folder, sample_split):
    log = read_log(sample_folder, Columns())
    train, validation, holdout = parts_of(sample_split)
    whole = concatenate(concatenate(train, validation), holdout)
    assert [sample_split.item_ids[item] for item in whole.items] == log.frame["item_id"].to_list()
    assert [sample_split.user_ids[user] for user in whole.users] == log.frame["user_id"].to_list()
    assert whole.times.tolist() == log.frame["timestamp"].to_list()
    assert [len(np.unique(whole.sessions))] == [log.report.sessions]


def test_titles_follow_the_catalog(sample_folder, sample_split):
    titles = read_log(sample_folder, Columns()).titles
    assert sample_split.titles == [titles[item] for item in sample_split.item_ids]


def test_log_without_titles_has_none(write_csv, tmp_path):
    assert make_split(write_csv(log_lines(range(100))), tmp_path / "split", BY_TIME).titles == []


def test_weights_are_kept(write_csv, tmp_path):
    lines = [f"{line},{n + 1}" for n, line in enumerate(log_lines(range(100)))]
    path = write_csv(lines, header="user_id,item_id,timestamp,weight")
    split = make_split(path, tmp_path / "split", BY_TIME)
    assert split.train.weights.tolist() == list(range(1, 81))


@pytest.mark.parametrize("settings", [BY_TIME, LAST_OUT])
def test_two_runs_give_the_same_bytes(sample_folder, tmp_path, settings):
    one, two = (make_split(sample_folder, tmp_path / name, settings).folder for name in ("one", "two"))
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_same_split_is_opened_and_another_one_made(sample_folder, tmp_path):
    out = tmp_path / "split"
    calls = []
    make_split(sample_folder, out, BY_TIME)
    make_split(sample_folder, out, BY_TIME, progress=lambda *call: calls.append(call))
    assert calls == [], "the log was not read again"
    assert make_split(sample_folder, out, LAST_OUT).description.protocol == "leave-one-out"


def test_damaged_split_is_made_again(sample_folder, tmp_path):
    out = make_split(sample_folder, tmp_path / "split", BY_TIME).folder
    expected = (out / "holdout.parquet").read_bytes()
    (out / "holdout.parquet").write_bytes(b"PAR1")
    make_split(sample_folder, out, BY_TIME)
    assert (out / "holdout.parquet").read_bytes() == expected


def test_split_opens_without_its_holdout_which_training_never_sees(sample_split):
    (sample_split.folder / "holdout.parquet").unlink()
    split = open_split(sample_split.folder)
    assert len(split.train) and len(split.validation)
    with pytest.raises(LogFault, match=r"holdout\.parquet is missing"):
        split.holdout()


@pytest.mark.parametrize("name", ["train", "validation", "items", "users"])
def test_changed_file_is_refused(sample_split, name):
    path = sample_split.folder / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LogFault, match=f"{name}.parquet has sha256 .*, split.json says"):
        open_split(sample_split.folder)


def test_other_version_is_refused(sample_split):
    path = sample_split.folder / "split.json"
    described = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(described | {"schema_version": 99}))
    with pytest.raises(LogFault, match="schema version 99, this code reads 1"):
        open_split(sample_split.folder)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema_version": 1}', b"{"])
def test_damaged_description_is_refused(sample_split, content):
    (sample_split.folder / "split.json").write_bytes(content)
    with pytest.raises(LogFault, match="is damaged"):
        open_split(sample_split.folder)


def test_folder_that_is_no_split_is_refused_and_left_alone(sample_folder, tmp_path):
    with pytest.raises(LogFault, match="is no split"):
        open_split(tmp_path)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageFault, match="is no split and would be replaced"):
        make_split(sample_folder, tmp_path, BY_TIME)
    assert (tmp_path / "thesis.txt").exists()


def test_log_that_cannot_be_trained_on_makes_no_split(write_csv, tmp_path):
    with pytest.raises(VerdictIsNo):
        make_split(write_csv(["u,i,1"]), tmp_path / "split", BY_TIME)
    assert not (tmp_path / "split").exists()


def test_too_few_times_to_cut_are_refused(write_csv, tmp_path):
    path = write_csv(log_lines([1] * 50 + [2] * 50))
    with pytest.raises(VerdictIsNo, match="too few different timestamps"):
        make_split(path, tmp_path / "split", BY_TIME)


def test_leave_one_out_needs_a_user_with_three_interactions(write_csv, tmp_path):
    path = write_csv([f"u{n % 10},i{n},{n}" for n in range(20)])
    with pytest.raises(VerdictIsNo, match="no user has three interactions"):
        make_split(path, tmp_path / "split", LAST_OUT)


def test_identity_depends_on_content_and_on_what_decides_the_parts():
    identities = [
        split_identity("a", BY_TIME),
        split_identity("b", BY_TIME),
        split_identity("a", LAST_OUT),
        split_identity("a", Settings(split=SplitSettings(holdout_percent=20))),
        split_identity("a", Settings(log=Columns(event_types=("buy",)))),
    ]
    assert len(set(identities)) == len(identities)
    assert split_identity("a", Settings()) == identities[0]


def test_split_made_on_the_way_lies_under_the_runs(tmp_path):
    assert default_split_folder(tmp_path, "0123456789abcdef") == tmp_path / "splits" / "0123456789ab"
