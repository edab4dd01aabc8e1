import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from contracts.faults import Fault, UsageFault
from contracts.sections import (
    Ease,
    Ials,
    ItemToItem,
    Jpq,
    Paths,
    Popularity,
    Sasrec,
    Settings,
    Split,
    Student,
    Training,
    VmisKnn,
)
from models.ladder import TRAININGS
from models.lesson import earlier_part
from models.questions import holdout_questions
from models.runs import CHECKPOINT, MODEL, RUN, find_runs, newest_run, newest_runs_together
from models.sample import write_sample
from models.split import make_split, open_split
from models.training import train
from models.validating import Validation


def quick_settings(runs, **sasrec) -> Settings:
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


@pytest.fixture(scope="module")
def split(tmp_path_factory, sample_folder):
    return make_split(sample_folder, tmp_path_factory.mktemp("split") / "cut", Settings())


@pytest.mark.parametrize("name", TRAININGS)
def test_run_gives_back_a_model_that_scores_the_catalog(tmp_path, split, name):
    run = train(split, name, quick_settings(tmp_path))
    scores = run.model().scores(np.array([[-1] * 8 + [0, 1]], dtype=np.int32))
    assert scores.shape == (1, split.catalog_size) and np.isfinite(scores).all()
    assert run.popularity().shape == (split.catalog_size,) and run.popularity().max() == 1
    assert run.description.validation["NDCG@10"] > 0


@pytest.mark.parametrize("name", TRAININGS)
def test_training_needs_no_holdout(tmp_path, sample_folder, name):
    split = make_split(sample_folder, tmp_path / "cut", Settings())
    (split.folder / "holdout.parquet").unlink()
    run = train(open_split(split.folder), name, quick_settings(tmp_path / "runs"))
    assert run.description.name == name and run.description.parts == ["train"]


@pytest.mark.parametrize("name", TRAININGS)
def test_equal_seeds_give_equal_bytes(tmp_path, split, name):
    one, two = (train(split, name, quick_settings(tmp_path / folder)) for folder in ("one", "two"))
    assert (one.folder / MODEL).read_bytes() == (two.folder / MODEL).read_bytes()


def test_another_seed_gives_another_network(tmp_path, split):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, training=Training(max_history=10, threads=1, seed=2))
    one, two = train(split, "sasrec", settings), train(split, "sasrec", other)
    assert one.folder != two.folder
    assert (one.folder / MODEL).read_bytes() != (two.folder / MODEL).read_bytes()


@pytest.mark.parametrize("full_softmax_scores", [10_000_000, 0])
@pytest.mark.parametrize("interrupted_in", ["network: epoch 1", "network: epoch 3"])
def test_interrupted_training_ends_with_the_numbers_of_an_uninterrupted_one(
    tmp_path, split, interrupted_in, full_softmax_scores
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
def test_training_interrupted_anywhere_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path, split, name):
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
def test_every_step_tells_its_end(tmp_path, split, name):
    last = {}
    train(split, name, quick_settings(tmp_path), lambda task, done, total: last.update({task: (done, total)}))
    assert f"{name}: repeat policy" in last
    assert {task for task, (done, total) in last.items() if done != total} == set()


def test_threads_make_another_network_and_no_other_counting_model(tmp_path, split):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, training=Training(max_history=10, threads=2))
    one, two = train(split, "sasrec", settings), train(split, "sasrec", other)
    assert (one.description.settings["threads"], two.description.settings["threads"]) == (1, 2)
    assert one.folder != two.folder
    train(split, "ials", settings)
    assert train(split, "ials", other).reused


def test_log_that_asks_nothing_of_validation_is_worth_nothing_in_every_epoch(tmp_path, write_csv):
    """Nobody comes a second time but two, and those early."""
    rows = [f"u{step},i{step % 12},{step * 86_400}" for step in range(60)] + ["u0,i3,60", "u1,i4,86460"]
    split = make_split(write_csv(rows), tmp_path / "cut", Settings())
    described = train(split, "sasrec", quick_settings(tmp_path, epochs=6, patience=3)).description
    assert described.epochs == [0.0] * 4 and described.chosen["epoch"] == 1


def test_student_of_a_small_catalog_learns(tmp_path, split):
    settings = msgspec.structs.replace(
        quick_settings(tmp_path), student=Student(dimension=4, prefixes=300, guesses=500)
    )
    assert train(split, "student", settings).description.validation["NDCG@10"] > 0


def test_codebooks_that_do_not_divide_the_dimension_are_refused(tmp_path, split):
    settings = msgspec.structs.replace(quick_settings(tmp_path), jpq=Jpq(codebooks=3))
    with pytest.raises(UsageFault, match=r"codebooks = 3; expected a divisor of \[sasrec\] dimension = 8"):
        train(split, "sasrec:jpq", settings)


def test_training_stops_when_the_validation_part_has_not_improved_for_so_long(tmp_path, split):
    run = train(
        split, "sasrec", quick_settings(tmp_path, epochs=60, patience=2, learning_rate=0.03, popularity=(0.0,))
    )
    epochs = run.description.epochs
    assert len(epochs) < 60
    assert int(np.argmax(epochs)) == len(epochs) - 1 - 2 == run.description.chosen["epoch"] - 1
    assert run.description.validation["NDCG@10"] == pytest.approx(max(epochs))


def test_finished_run_is_returned_as_it_is(tmp_path, split):
    first = train(split, "sasrec", quick_settings(tmp_path))
    again = train(split, "sasrec", quick_settings(tmp_path))
    assert not first.reused and again.reused
    assert again.description == first.description
    assert not (first.folder / CHECKPOINT).exists()


def test_run_that_is_asked_for_again_is_the_newest_again(tmp_path, split):
    settings = quick_settings(tmp_path)
    other = msgspec.structs.replace(settings, training=msgspec.structs.replace(settings.training, seed=99))
    first = train(split, "popularity", settings)
    second = train(split, "popularity", other)
    assert newest_run(settings.paths.runs, "popularity").folder == second.folder
    train(split, "popularity", settings)
    assert newest_run(settings.paths.runs, "popularity").folder == first.folder


def test_runs_of_another_log_do_not_come_along(tmp_path, split, sample_folder):
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


def test_repeat_policy_is_the_best_on_the_validation_part(tmp_path, split):
    described = train(split, "item-to-item", quick_settings(tmp_path)).description
    assert set(described.policies) == {"mask", "keep", "drop-last", "first"}
    assert described.policies[described.repeat_policy] >= described.policies["mask"]
    assert described.validation["NDCG@10"] == described.policies[described.repeat_policy]


def test_log_of_repeats_learns_to_keep_seen_items(tmp_path, write_csv):
    """Everybody buys their own two items again and again."""
    rows = [f"u{u},i{(u * 7 + step % 2) % 40},{step * 86_400 + u}" for step in range(20) for u in range(40)]
    split = make_split(write_csv(rows), tmp_path / "cut", Settings())
    for name in ("popularity", "item-to-item"):
        described = train(split, name, quick_settings(tmp_path)).description
        assert described.repeat_policy in ("keep", "first", "drop-last")
        assert described.policies["mask"] == 0.0 < described.validation["NDCG@10"]


def test_short_histories_need_no_long_window(tmp_path, write_csv):
    rows = [f"u{u},i{(u + step) % 30},{step * 86_400 + u}" for step in range(12) for u in range(30)]
    split = make_split(write_csv(rows), tmp_path / "cut", Settings())
    settings = msgspec.structs.replace(quick_settings(tmp_path), training=Training(max_history=50, threads=1))
    assert train(split, "popularity", settings).description.settings["max-history"] == 10


def test_blend_and_student_name_what_they_are_made_of(tmp_path, split):
    student = train(split, "student", quick_settings(tmp_path)).description
    (blend,) = student.parents
    assert [name.rsplit("-", 1)[0] for name in find_run(tmp_path, blend).parents] == ["sasrec", "item-to-item"]


def find_run(runs, folder):
    return next(run.description for run in find_runs(runs) if run.folder.name == folder)


def test_setting_of_another_rung_leaves_a_run_valid(tmp_path, split):
    settings = quick_settings(tmp_path)
    train(split, "popularity", settings)
    other = msgspec.structs.replace(settings, sasrec=Sasrec(dimension=16))
    assert train(split, "popularity", other).reused
    shorter = msgspec.structs.replace(settings, popularity=Popularity(half_lives_days=(1.0,)))
    assert not train(split, "popularity", shorter).reused


def test_run_says_what_it_was_made_of(tmp_path, split):
    described = train(split, "item-to-item", quick_settings(tmp_path)).description
    assert described.split_sha256 == split.description.sha256
    assert described.log_sha256 == split.description.log_sha256
    assert described.settings["item-to-item"]["windows"] == [1, 5]
    assert set(described.chosen) == {"half-life-days", "window", "idf", "decay", "popularity", "neighbours"}
    assert "torch" in described.libraries


def test_split_inside_the_runs_is_named_relative_to_them(tmp_path, sample_folder):
    inside = make_split(sample_folder, tmp_path / "splits" / "a", Settings())
    run = train(inside, "popularity", quick_settings(tmp_path))
    assert run.description.split == "splits/a"
    assert run.split_folder() == inside.folder


def test_newest_run_of_a_rung_is_the_one_trained_last(tmp_path, split):
    settings = quick_settings(tmp_path)
    train(split, "popularity", settings)
    other = msgspec.structs.replace(settings, popularity=Popularity(half_lives_days=(1.0,)))
    last = train(split, "popularity", other)
    train(split, "item-to-item", settings)
    assert newest_run(tmp_path, "popularity").folder == last.folder


def test_missing_run_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(UsageFault, match="flyweight train --rung sasrec"):
        newest_run(tmp_path, "sasrec")


def test_unknown_rung_is_refused_with_those_there_are(tmp_path, split):
    with pytest.raises(UsageFault, match=r"popularity, item-to-item, .*sasrec:jpq"):
        train(split, "markov", quick_settings(tmp_path))


def test_damaged_run_is_refused_with_the_remedy(tmp_path, split):
    run = train(split, "popularity", quick_settings(tmp_path))
    (run.folder / RUN).write_text("{")
    with pytest.raises(UsageFault, match=r"is damaged.*Remove .* and run `flyweight train` again"):
        find_runs(tmp_path)


def test_learning_rate_that_diverges_is_named(tmp_path, split):
    with pytest.raises(Fault, match="Lower \\[sasrec\\] learning-rate"):
        train(split, "sasrec", quick_settings(tmp_path, learning_rate=1e30))


def test_counting_models_are_tuned_as_far_from_their_end_as_the_holdout_will_be(split):
    delay = split.description.holdout_cutoff - split.description.validation_cutoff
    earlier = earlier_part(split)
    assert 0 < len(earlier) < len(split.train)
    assert earlier.times.max() <= split.description.validation_cutoff - delay


def test_leave_one_out_tunes_on_the_whole_training_part(tmp_path, sample_folder):
    settings = msgspec.convert({"split": {"protocol": "leave-one-out"}}, Settings)
    split = make_split(sample_folder, tmp_path / "cut", settings)
    assert len(earlier_part(split)) == len(split.train)


@pytest.fixture(scope="module")
def quality(tmp_path_factory):
    """NDCG@10 on the holdout for each rung, on a log with so much signal."""

    def measure(signal) -> dict[str, float]:
        folder = tmp_path_factory.mktemp("world")
        write_sample(folder / "log", users=300, items=60, interactions=6_000, seed=5, signal=signal)
        settings = quick_settings(folder / "runs", dimension=32, epochs=12, learning_rate=0.01)
        split = make_split(folder / "log", folder / "cut", settings)
        asked = holdout_questions(split)
        holdout = Validation(asked.histories, asked.next_items(), split.catalog_size, max_history=10)
        return {rung: holdout.ndcg_at_10(train(split, rung, settings).model().scores) for rung in TRAININGS}

    return measure


def test_planted_signal_lets_the_learners_beat_popularity_clearly(quality):
    ndcg = quality(signal=0.9)
    assert ndcg["item-to-item"] > 1.5 * ndcg["popularity"]
    assert min(ndcg["sasrec"], ndcg["sasrec:jpq"], ndcg["blend"], ndcg["student"]) > 1.4 * ndcg["popularity"]


def test_pure_noise_gives_nobody_an_edge_over_popularity(quality):
    ndcg = quality(signal=0.0)
    assert ndcg["item-to-item"] < 1.1 * ndcg["popularity"]
    assert max(ndcg.values()) < 1.1 * ndcg["popularity"]


def test_arrays_of_every_run_are_plain_safetensors(tmp_path, split):
    for rung in TRAININGS:
        arrays = load_file(train(split, rung, quick_settings(tmp_path)).folder / MODEL)
        assert {array.dtype for array in arrays.values()} <= {
            np.dtype(kind) for kind in ("float32", "int32", "uint8")
        }
