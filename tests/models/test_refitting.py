"""The winner learns again, with the choices it made, from more of the log."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from contracts.faults import UsageFault
from contracts.rung_sections import Ease, Ials, ItemToItem, Jpq, Popularity, Sasrec, Student, VmisKnn
from contracts.sections import Paths, Settings, Split, Training
from models.ladder import TRAININGS
from models.refitting import whole_split
from models.runs import MODEL, find_runs
from models.splits.split import make_split
from models.training import refit, train


def quick_settings(runs, refit="train+validation") -> Settings:
    return Settings(
        paths=Paths(runs=runs),
        training=Training(max_history=10, threads=1, refit=refit),
        popularity=Popularity(half_lives_days=(7.0,)),
        item_to_item=ItemToItem(neighbours=(5,), windows=(5,), decays=(0.6,), idf=(0.5,)),
        sasrec=Sasrec(dimension=8, heads=1, epochs=2),
        jpq=Jpq(codebooks=2, centroids=16),
        student=Student(dimension=4, prefixes=300, guesses=5),
    )


@pytest.fixture(scope="module")
def split(tmp_path_factory, write_csv_once):
    return make_split(write_csv_once, tmp_path_factory.mktemp("split") / "cut", Settings())


@pytest.fixture(scope="module")
def write_csv_once(tmp_path_factory):
    """300 items in the order of their first day: the last ones are new in validation and in the holdout."""
    rows = [f"u{(step * 7) % 60},i{min(299, step // 8 + (step * 13) % 23)},{step * 3600}" for step in range(2400)]
    path = tmp_path_factory.mktemp("log") / "interactions.csv"
    path.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    return path


@pytest.mark.parametrize("name", TRAININGS)
def test_refit_repeats_the_choices_on_train_and_validation(tmp_path, split, name):
    settings = quick_settings(tmp_path)
    first = train(split, name, settings)
    again = refit(first, split, settings)
    assert again.description.parts == ["train", "validation"]
    assert again.description.refit_of == first.folder.name
    assert again.description.chosen == first.description.chosen
    assert again.description.policies == first.description.policies
    items = whole_split(split, again.description.parts).catalog_size
    assert items > split.catalog_size
    scores = again.model().scores(np.array([[-1] * 8 + [0, 1]], dtype=np.int32))
    assert scores.shape == (1, items) and np.isfinite(scores).all()


def test_refit_on_everything_knows_the_items_of_the_holdout(tmp_path, split):
    settings = quick_settings(tmp_path, refit="all")
    again = refit(train(split, "item-to-item", settings), split, settings)
    assert len(again.popularity()) == len(split.item_ids)


def test_refit_on_train_and_validation_never_reads_the_holdout(tmp_path, write_csv_once):
    split = make_split(write_csv_once, tmp_path / "cut", Settings())
    (split.folder / "holdout.parquet").unlink()
    settings = quick_settings(tmp_path / "runs")
    assert refit(train(split, "sasrec", settings), split, settings).description.parts == ["train", "validation"]


def test_no_refit_is_the_run_itself(tmp_path, split):
    settings = quick_settings(tmp_path, refit="none")
    first = train(split, "popularity", settings)
    assert refit(first, split, settings) is first


def test_refit_is_found_again_and_competes_with_nobody(tmp_path, split):
    settings = quick_settings(tmp_path)
    first = train(split, "sasrec", settings)
    again, third = refit(first, split, settings), refit(first, split, settings)
    assert not again.reused and third.reused
    assert [run.folder for run in find_runs(tmp_path)] == [first.folder]


def test_equal_refits_are_equal_byte_for_byte(tmp_path, split):
    refits = []
    for name in ("one", "two"):
        settings = quick_settings(tmp_path / name)
        refits.append(refit(train(split, "sasrec:jpq", settings), split, settings))
    assert (refits[0].folder / MODEL).read_bytes() == (refits[1].folder / MODEL).read_bytes()


def test_whole_split_keeps_every_interaction_under_its_item_id(split):
    whole = whole_split(split, ["train", "validation", "holdout"])
    before = [
        split.item_ids[code] for part in (split.train, split.validation, split.holdout()) for code in part.items
    ]
    assert [whole.item_ids[code] for code in whole.train.items] == before
    assert [whole.item_ids[c] for c in whole.validation.items] == [
        split.item_ids[c] for c in split.validation.items
    ]
    counts = np.bincount(whole.train.items)
    assert (np.diff(counts) <= 0).all() and whole.catalog_size == len(counts)


def test_refit_of_other_settings_is_another_run(tmp_path, split):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, sasrec=Sasrec(dimension=4, heads=1, epochs=1))
    one, two = (refit(train(split, "sasrec", s), split, s) for s in (settings, other))
    assert one.folder != two.folder


@pytest.mark.parametrize("name", TRAININGS)
def test_refit_goes_by_the_settings_of_the_run_whatever_the_file_says_by_now(tmp_path, split, name):
    """As after a search: what it found stands in the run alone."""
    settings = quick_settings(tmp_path / "one")
    kept = refit(train(split, name, settings), split, settings)
    moved = quick_settings(tmp_path / "two")
    run = train(split, name, moved)
    other = msgspec.structs.replace(
        Settings(paths=moved.paths, sasrec=Sasrec(dimension=4, heads=1), jpq=Jpq(codebooks=4)),
        training=Training(max_history=5, threads=2, seed=9),
        ease=Ease(neighbours=1),
        ials=Ials(factors=2, iterations=1),
        vmis_knn=VmisKnn(newest=1, session_length=2),
        student=Student(dimension=2, prefixes=10, guesses=1),
    )
    again = refit(run, split, other)
    assert again.folder.name == kept.folder.name
    assert (again.folder / MODEL).read_bytes() == (kept.folder / MODEL).read_bytes()


@pytest.mark.parametrize("name", ["sasrec", "student"])
def test_interrupted_refit_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path, split, name):
    refits = []
    for folder, moments in (("one", ()), ("two", ("network: epoch 3", "network: item factors"))):
        settings = quick_settings(tmp_path / folder)
        run = train(split, name, settings)
        third = msgspec.structs.replace(run.description, chosen=run.description.chosen | {"epoch": 3})
        run = replace(run, description=third)
        for moment in moments:

            def interrupt(task, done, total, moment=moment):
                if task == moment:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                refit(run, split, settings, interrupt)
        refits.append(refit(run, split, settings))
    assert refits[0].description.parts == ["train", "validation"]
    assert (refits[0].folder / MODEL).read_bytes() == (refits[1].folder / MODEL).read_bytes()


def test_refit_on_another_split_is_refused(tmp_path, split, write_csv_once):
    settings = quick_settings(tmp_path / "runs")
    cut = Settings(split=Split(holdout_percent=20.0))
    other = make_split(write_csv_once, tmp_path / "other", cut)
    with pytest.raises(UsageFault, match=r"learned from the split .* but .*other holds"):
        refit(train(split, "popularity", settings), other, settings)


def test_run_of_settings_that_are_no_more_is_refused_with_the_remedy(tmp_path, split):
    settings = quick_settings(tmp_path)
    run = train(split, "popularity", settings)
    old = msgspec.structs.replace(run.description, settings=run.description.settings | {"popularity": {"gone": 1}})
    with pytest.raises(UsageFault, match=r"`gone`.*train --rung popularity"):
        refit(replace(run, description=old), split, settings)


def test_whole_split_of_leave_one_out_is_in_the_order_of_time(tmp_path, sample_folder):
    """The newest sessions are those that happened last, not those of the users that were held out."""
    settings = Settings(split=Split(protocol="leave-one-out"))
    split = make_split(sample_folder, tmp_path / "cut", settings)
    assert split.validation.times.min() < split.train.times.max()
    whole = whole_split(split, ["train", "validation", "holdout"])
    assert (np.diff(whole.train.times) >= 0).all()
    assert len(whole.train) == len(split.train) + len(split.validation) + len(split.holdout())
