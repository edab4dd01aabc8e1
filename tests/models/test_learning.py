import msgspec
import pytest

from contracts.faults import Fault
from contracts.rung_sections import Student
from contracts.sections import Settings, Training
from models import learning
from models.ladder import TRAININGS
from models.lesson import earlier_part
from models.logs.sample import write_sample
from models.runs import MODEL, RUN
from models.splits.questions import holdout_questions
from models.splits.split import make_split
from models.training import train
from models.validating import Validation


def test_log_that_asks_nothing_of_validation_is_worth_nothing_in_every_epoch(tmp_path, write_csv, quick_settings):
    """Nobody comes a second time but two, and those early."""
    rows = [f"u{step},i{step % 12},{step * 86_400}" for step in range(60)] + ["u0,i3,60", "u1,i4,86460"]
    split = make_split(write_csv(rows), tmp_path / "cut", Settings())
    described = train(split, "sasrec", quick_settings(tmp_path, epochs=6, patience=3)).description
    assert described.epochs == [0.0] * 4 and described.chosen["epoch"] == 1


def test_student_of_a_small_catalog_learns(tmp_path, split, quick_settings):
    settings = msgspec.structs.replace(
        quick_settings(tmp_path), student=Student(dimension=4, prefixes=300, guesses=500)
    )
    assert train(split, "student", settings).description.validation["NDCG@10"] > 0


def test_repeat_policy_is_the_best_on_the_validation_part(tmp_path, split, quick_settings):
    described = train(split, "item-to-item", quick_settings(tmp_path)).description
    assert set(described.policies) == {"mask", "keep", "drop-last", "first"}
    assert described.policies[described.repeat_policy] >= described.policies["mask"]
    assert described.validation["NDCG@10"] == described.policies[described.repeat_policy]


def test_log_of_repeats_learns_to_keep_seen_items(tmp_path, write_csv, quick_settings):
    """Everybody buys their own two items again and again."""
    rows = [f"u{u},i{(u * 7 + step % 2) % 40},{step * 86_400 + u}" for step in range(20) for u in range(40)]
    split = make_split(write_csv(rows), tmp_path / "cut", Settings())
    for name in ("popularity", "item-to-item"):
        described = train(split, name, quick_settings(tmp_path)).description
        assert described.repeat_policy in ("keep", "first", "drop-last")
        assert described.policies["mask"] == 0.0 < described.validation["NDCG@10"]


def test_short_histories_need_no_long_window(tmp_path, write_csv, quick_settings):
    rows = [f"u{u},i{(u + step) % 30},{step * 86_400 + u}" for step in range(12) for u in range(30)]
    split = make_split(write_csv(rows), tmp_path / "cut", Settings())
    settings = msgspec.structs.replace(quick_settings(tmp_path), training=Training(max_history=50, threads=1))
    assert train(split, "popularity", settings).description.settings["max-history"] == 10


def test_codes_of_many_items_come_from_a_network_that_learned_whole_vectors(
    tmp_path, split, quick_settings, monkeypatch
):
    """Interrupted in the second part, it does not begin anew and ends with the same numbers."""
    monkeypatch.setattr(learning, "LARGEST_FACTORISED", 10)
    sampled = {"full_softmax_scores": 0, "negatives": 32, "learning_rate": 0.01}
    whole = train(split, "sasrec:jpq", quick_settings(tmp_path / "whole", **sampled))
    assert whole.model().item_table.codes.shape == (split.catalog_size + 1, 2)
    settings, seen = quick_settings(tmp_path / "parts", **sampled), []

    def interrupt(task, done, total):
        seen.append(task)
        if task == "network: epoch 1" and "network: epoch 2" in seen:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(split, "sasrec:jpq", settings, interrupt)
    resumed = train(split, "sasrec:jpq", settings)
    assert resumed.description.epochs == whole.description.epochs
    assert (resumed.folder / MODEL).read_bytes() == (whole.folder / MODEL).read_bytes()
    assert sorted(path.name for path in resumed.folder.iterdir()) == [MODEL, RUN]


def test_learning_rate_that_diverges_is_named(tmp_path, split, quick_settings):
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
def quality(tmp_path_factory, quick_settings):
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
