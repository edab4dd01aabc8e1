import msgspec
import numpy as np
import pytest

from contracts.faults import UsageFault
from contracts.rung_sections import Jpq, Popularity, Sasrec
from contracts.sections import Settings, Training
from models.ladder import TRAININGS
from models.runs import CHECKPOINT, MODEL, find_runs
from models.splits.split import make_split, open_split
from models.training import train


@pytest.mark.parametrize("name", TRAININGS)
def test_run_gives_back_a_model_that_scores_the_catalog(tmp_path, split, name, quick_settings):
    run = train(split, name, quick_settings(tmp_path))
    scores = run.model().scores(np.array([[-1] * 8 + [0, 1]], dtype=np.int32))
    assert scores.shape == (1, split.catalog_size) and np.isfinite(scores).all()
    assert run.popularity().shape == (split.catalog_size,) and run.popularity().max() == 1
    assert run.description.validation["NDCG@10"] > 0


@pytest.mark.parametrize("name", TRAININGS)
def test_training_needs_no_holdout(tmp_path, sample_folder, name, quick_settings):
    split = make_split(sample_folder, tmp_path / "cut", Settings())
    (split.folder / "holdout.parquet").unlink()
    run = train(open_split(split.folder), name, quick_settings(tmp_path / "runs"))
    assert run.description.name == name and run.description.parts == ["train"]


@pytest.mark.parametrize("name", TRAININGS)
def test_equal_seeds_give_equal_bytes(tmp_path, split, name, quick_settings):
    one, two = (train(split, name, quick_settings(tmp_path / folder)) for folder in ("one", "two"))
    assert (one.folder / MODEL).read_bytes() == (two.folder / MODEL).read_bytes()


def test_another_seed_gives_another_network(tmp_path, split, quick_settings):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, training=Training(max_history=10, threads=1, seed=2))
    one, two = train(split, "sasrec", settings), train(split, "sasrec", other)
    assert one.folder != two.folder
    assert (one.folder / MODEL).read_bytes() != (two.folder / MODEL).read_bytes()


@pytest.mark.parametrize("full_softmax_scores", [10_000_000, 0])
@pytest.mark.parametrize("interrupted_in", ["network: epoch 1", "network: epoch 3"])
def test_interrupted_training_ends_with_the_numbers_of_an_uninterrupted_one(
    tmp_path, split, interrupted_in, full_softmax_scores, quick_settings
):
    def interrupt(task, done, total):
        if task == interrupted_in:
            raise KeyboardInterrupt

    whole = train(
        split, "sasrec", quick_settings(tmp_path / "whole", full_softmax_scores=full_softmax_scores, negatives=16)
    )
    settings = quick_settings(tmp_path / "parts", full_softmax_scores=full_softmax_scores, negatives=16)
    with pytest.raises(KeyboardInterrupt):
        train(split, "sasrec", settings, interrupt)
    assert find_runs(settings.paths.runs) == []
    asked = []
    resumed = train(split, "sasrec", settings, lambda task, done, total: asked.append(task))
    assert [task for task in dict.fromkeys(asked) if task < interrupted_in and "epoch" in task] == []
    assert resumed.description.epochs == whole.description.epochs
    assert (resumed.folder / MODEL).read_bytes() == (whole.folder / MODEL).read_bytes()


@pytest.mark.parametrize("name", ["sasrec:jpq", "blend", "student"])
def test_training_interrupted_anywhere_ends_with_the_bytes_of_an_uninterrupted_one(
    tmp_path, split, name, quick_settings
):
    """Three times: in the network that it is, or is made of, and in the last step of all."""
    whole = train(split, name, quick_settings(tmp_path / "whole"))
    settings = quick_settings(tmp_path / "parts")
    for moment in ("network: epoch 2", "network: epoch 3", f"{name}: repeat policy"):

        def interrupt(task, done, total, moment=moment):
            if task == moment:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(split, name, settings, interrupt)
    resumed = train(split, name, settings)
    assert resumed.description == whole.description
    assert (resumed.folder / MODEL).read_bytes() == (whole.folder / MODEL).read_bytes()


@pytest.mark.parametrize("name", TRAININGS)
def test_every_step_tells_its_end(tmp_path, split, name, quick_settings):
    last = {}
    train(split, name, quick_settings(tmp_path), lambda task, done, total: last.update({task: (done, total)}))
    assert f"{name}: repeat policy" in last
    assert {task for task, (done, total) in last.items() if done != total} == set()


def test_threads_make_another_network_and_no_other_counting_model(tmp_path, split, quick_settings):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, training=Training(max_history=10, threads=2))
    one, two = train(split, "sasrec", settings), train(split, "sasrec", other)
    assert (one.description.settings["threads"], two.description.settings["threads"]) == (1, 2)
    assert one.folder != two.folder
    train(split, "ials", settings)
    assert train(split, "ials", other).reused


def test_codebooks_that_do_not_divide_the_dimension_are_refused(tmp_path, split, quick_settings):
    settings = msgspec.structs.replace(quick_settings(tmp_path), jpq=Jpq(codebooks=3))
    with pytest.raises(UsageFault, match=r"codebooks = 3; expected a divisor of \[sasrec\] dimension = 8"):
        train(split, "sasrec:jpq", settings)


def test_training_stops_when_the_validation_part_has_not_improved_for_so_long(tmp_path, split, quick_settings):
    run = train(
        split, "sasrec", quick_settings(tmp_path, epochs=60, patience=2, learning_rate=0.03, popularity=(0.0,))
    )
    epochs = run.description.epochs
    assert len(epochs) < 60
    assert int(np.argmax(epochs)) == len(epochs) - 1 - 2 == run.description.chosen["epoch"] - 1
    assert run.description.validation["NDCG@10"] == pytest.approx(max(epochs))


def test_finished_run_is_returned_as_it_is(tmp_path, split, quick_settings):
    first = train(split, "sasrec", quick_settings(tmp_path))
    again = train(split, "sasrec", quick_settings(tmp_path))
    assert not first.reused and again.reused
    assert again.description == first.description
    assert not (first.folder / CHECKPOINT).exists()


def test_blend_and_student_name_what_they_are_made_of(tmp_path, split, quick_settings):
    student = train(split, "student", quick_settings(tmp_path)).description
    (blend,) = student.parents
    assert [name.rsplit("-", 1)[0] for name in find_run(tmp_path, blend).parents] == ["sasrec", "item-to-item"]


def find_run(runs, folder):
    return next(run.description for run in find_runs(runs) if run.folder.name == folder)


def test_setting_of_another_rung_leaves_a_run_valid(tmp_path, split, quick_settings):
    settings = quick_settings(tmp_path)
    train(split, "popularity", settings)
    other = msgspec.structs.replace(settings, sasrec=Sasrec(dimension=16))
    assert train(split, "popularity", other).reused
    shorter = msgspec.structs.replace(settings, popularity=Popularity(half_lives_days=(1.0,)))
    assert not train(split, "popularity", shorter).reused


def test_unknown_rung_is_refused_with_those_there_are(tmp_path, split, quick_settings):
    with pytest.raises(UsageFault, match=r"popularity, item-to-item, .*sasrec:jpq"):
        train(split, "markov", quick_settings(tmp_path))
