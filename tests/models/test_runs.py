import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from contracts.faults import UsageFault
from contracts.rung_sections import Popularity
from contracts.sections import Settings, Split
from models.ladder import TRAININGS
from models.runs import MODEL, RUN, find_runs, newest_run, newest_runs_together
from models.splits.split import make_split
from models.training import train


def test_run_that_is_asked_for_again_is_the_newest_again(tmp_path, split, quick_settings):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, training=msgspec.structs.replace(settings.training, seed=99))
    first = train(split, "popularity", settings)
    second = train(split, "popularity", other)
    assert newest_run(settings.paths.runs, "popularity").folder == second.folder
    train(split, "popularity", settings)
    assert newest_run(settings.paths.runs, "popularity").folder == first.folder


def test_runs_of_another_log_do_not_come_along(tmp_path, split, sample_folder, quick_settings):
    settings = quick_settings(tmp_path)
    other = make_split(
        sample_folder, tmp_path / "other", msgspec.structs.replace(settings, split=Split(holdout_percent=5.0))
    )
    train(split, "item-to-item", settings)
    train(other, "popularity", settings)
    train(split, "popularity", settings)
    together = newest_runs_together(settings.paths.runs)
    assert [run.description.rung for run in together] == ["popularity", "item-to-item"]
    assert {run.description.split_sha256 for run in together} == {split.description.sha256}


def test_run_says_what_it_was_made_of(tmp_path, split, quick_settings):
    described = train(split, "item-to-item", quick_settings(tmp_path)).description
    assert described.split_sha256 == split.description.sha256
    assert described.log_sha256 == split.description.log_sha256
    assert described.settings["item-to-item"]["windows"] == [1, 5]
    assert set(described.chosen) == {"half-life-days", "window", "idf", "decay", "popularity", "neighbours"}
    assert "torch" in described.libraries


def test_split_inside_the_runs_is_named_relative_to_them(tmp_path, sample_folder, quick_settings):
    inside = make_split(sample_folder, tmp_path / "splits" / "a", Settings())
    run = train(inside, "popularity", quick_settings(tmp_path))
    assert run.description.split == "splits/a"
    assert run.split_folder() == inside.folder


def test_newest_run_of_a_rung_is_the_one_trained_last(tmp_path, split, quick_settings):
    settings = quick_settings(tmp_path)
    train(split, "popularity", settings)
    other = msgspec.structs.replace(settings, popularity=Popularity(half_lives_days=(1.0,)))
    last = train(split, "popularity", other)
    train(split, "item-to-item", settings)
    assert newest_run(tmp_path, "popularity").folder == last.folder


def test_missing_run_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(UsageFault, match="flyweight train --rung sasrec"):
        newest_run(tmp_path, "sasrec")


def test_damaged_run_is_refused_with_the_remedy(tmp_path, split, quick_settings):
    run = train(split, "popularity", quick_settings(tmp_path))
    (run.folder / RUN).write_text("{")
    with pytest.raises(UsageFault, match=r"is damaged.*Remove .* and run `flyweight train` again"):
        find_runs(tmp_path)


def test_arrays_of_every_run_are_plain_safetensors(tmp_path, split, quick_settings):
    for rung in TRAININGS:
        arrays = load_file(train(split, rung, quick_settings(tmp_path)).folder / MODEL)
        assert {array.dtype for array in arrays.values()} <= {
            np.dtype(kind) for kind in ("float32", "int32", "uint8")
        }
