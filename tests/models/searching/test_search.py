"""Searching settings: on the validation part only, never worse, going on where it was interrupted."""

import os

import msgspec
import pytest

from contracts import durable
from contracts.faults import UsageFault
from contracts.rung_sections import Ease, Ials, ItemToItem, Jpq, Popularity, Sasrec, Student, VmisKnn
from contracts.sections import Paths, Settings, Training
from models.logs.sample import write_sample
from models.runs import find_runs
from models.searching.search import minutes_by_name, search
from models.searching.search_space import SEARCHED
from models.searching.trial_journal import Trial, read_trials
from models.splits.questions import holdout_questions
from models.splits.split import make_split, open_split
from models.training import train
from models.validating import Validation

ILL_SET = ItemToItem(neighbours=(5,), windows=(60,), decays=(1.0,), idf=(1.0,), popularity=(10.0,))


class Clock:
    """Stands still but for `tell`, to which every trial takes a minute."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def tell(self, number, trial, best):
        self.now += 60


def quick_settings(runs, **sections) -> Settings:
    defaults = {
        "training": Training(max_history=10, threads=1),
        "popularity": Popularity(half_lives_days=(7.0, 365.0)),
        "item_to_item": ILL_SET,
        "vmis_knn": VmisKnn(neighbours=(10, 50), decays=(0.6,), popularity=(0.3,)),
        "ials": Ials(factors=8, iterations=2, regularizations=(0.1,), alphas=(10.0,), decays=(1.0,)),
        "ease": Ease(l2=(100.0,), decays=(0.6,), popularity=(0.3,)),
        "sasrec": Sasrec(dimension=8, layers=1, heads=1, epochs=2, popularity=(0.0,)),
        "jpq": Jpq(codebooks=2, centroids=16),
        "student": Student(dimension=4, prefixes=200, guesses=5),
    }
    return Settings(paths=Paths(runs=runs), **(defaults | sections))


def search_for(trials, split, name, settings):
    clock = Clock()
    return search(split, name, settings, trials, tell=clock.tell, clock=clock)


def journal_of(runs):
    return next((runs / "studies").glob("[!.]*.jsonl"))


@pytest.fixture(scope="module")
def split(tmp_path_factory, sample_folder):
    return make_split(sample_folder, tmp_path_factory.mktemp("split") / "cut", Settings())


def holdout_gain(folder, signal):
    """How many times better than the ill-set rung the found one answers the holdout; and what was found."""
    write_sample(folder / "log", users=300, items=60, interactions=6_000, seed=5, signal=signal)
    settings = quick_settings(folder / "runs")
    split = make_split(folder / "log", folder / "cut", settings)
    found = search_for(20, split, "item-to-item", settings)
    asked = holdout_questions(split)
    holdout = Validation(asked.histories, asked.next_items(), split.catalog_size, max_history=10)
    before, after = (
        holdout.ndcg_at_10(train(split, "item-to-item", which).model().scores)
        for which in (settings, found.settings)
    )
    return after / before, found


def test_planted_signal_is_found_and_holds_on_the_holdout(tmp_path):
    gain, found = holdout_gain(tmp_path, signal=0.9)
    assert found.ndcg_found > 1.3 * found.ndcg_given
    assert gain > 1.3
    assert found.settings.item_to_item.popularity[0] < 5.0


def test_pure_noise_gives_no_gain_on_the_holdout(tmp_path):
    gain, _ = holdout_gain(tmp_path, signal=0.0)
    assert gain < 1.15


def test_what_is_found_is_one_value_for_each_list_and_the_rest_as_set(tmp_path, split):
    settings = quick_settings(tmp_path)
    found = search_for(6, split, "item-to-item", settings)
    section = found.settings.item_to_item
    assert [len(values) for values in (section.windows, section.decays, section.idf, section.popularity)] == [
        1
    ] * 4
    assert section.neighbours == (5,)
    assert msgspec.structs.replace(found.settings, item_to_item=ILL_SET) == settings
    assert set(found.changed) <= {"windows", "decays", "idf", "popularity"}


def test_the_first_trial_is_what_was_set_and_a_search_of_one_finds_just_that(tmp_path, split):
    settings = quick_settings(tmp_path)
    found = search_for(1, split, "item-to-item", settings)
    assert (found.settings, found.changed) == (settings, {})
    assert found.ndcg_found == found.ndcg_given > 0


@pytest.mark.parametrize("name", [*SEARCHED, "sasrec:jpq"])
def test_every_search_is_never_worse_needs_no_holdout_and_leaves_its_journal(tmp_path, sample_folder, name):
    folder = make_split(sample_folder, tmp_path / "cut", Settings()).folder
    (folder / "holdout.parquet").unlink()
    runs = tmp_path / "runs"
    found = search_for(2, open_split(folder), name, quick_settings(runs))
    assert found.ndcg_found >= found.ndcg_given > 0
    assert found.rung == name.partition(":")[0]
    left = sorted(path.name for path in (runs / "studies").iterdir())
    assert left == [f".{journal_of(runs).name}.lock", journal_of(runs).name]
    assert name not in [run.description.name for run in find_runs(runs)]


def test_no_trial_begins_after_the_minutes_and_there_is_always_one(tmp_path, split):
    settings = quick_settings(tmp_path)
    assert search_for(3, split, "item-to-item", settings).new == 3
    assert search_for(0, split, "item-to-item", settings).new == 1
    assert search_for(0.5, split, "item-to-item", settings).trials == 5


def test_a_search_in_two_parts_makes_the_trials_of_one_in_one_part(tmp_path, split):
    search_for(12, split, "item-to-item", quick_settings(tmp_path / "whole"))
    first = search_for(9, split, "item-to-item", quick_settings(tmp_path / "parts"))
    second = search_for(3, split, "item-to-item", quick_settings(tmp_path / "parts"))
    assert (first.trials, second.trials, second.new) == (9, 12, 3)
    assert second.ndcg_found >= first.ndcg_found
    whole, parts = (read_trials(journal_of(tmp_path / part)) for part in ("whole", "parts"))
    assert [(trial.params, trial.ndcg) for trial in whole] == [(trial.params, trial.ndcg) for trial in parts]


def test_a_torn_last_line_costs_only_its_trial(tmp_path, split):
    settings = quick_settings(tmp_path)
    search_for(3, split, "item-to-item", settings)
    journal = journal_of(tmp_path)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    found = search_for(1, split, "item-to-item", settings)
    assert (found.trials, found.new) == (3, 1)
    assert [trial.params for trial in read_trials(journal)] == [
        msgspec.json.decode(line, type=Trial).params for line in whole.splitlines()
    ]


def test_a_journal_damaged_elsewhere_is_refused_with_the_remedy(tmp_path, split):
    settings = quick_settings(tmp_path)
    search_for(2, split, "item-to-item", settings)
    journal = journal_of(tmp_path)
    journal.write_bytes(b"{" + journal.read_bytes())
    with pytest.raises(UsageFault, match=r"is damaged: .*Remove it to search from the beginning"):
        search_for(1, split, "item-to-item", settings)


def test_an_interrupted_trial_does_not_count_and_the_ones_before_do(tmp_path, split):
    settings = quick_settings(tmp_path)
    search_for(1, split, "sasrec", settings)

    def interrupt(task, done, total):
        if task == "network: epoch 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(split, "sasrec", settings, 1, interrupt, clock=Clock())
    assert len(list((tmp_path / "studies").iterdir())) == 2
    assert search_for(1, split, "sasrec", settings).trials == 2


def test_what_a_killed_trial_left_is_removed_by_the_next_search(tmp_path, split):
    settings = quick_settings(tmp_path)
    search_for(1, split, "item-to-item", settings)
    dead = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(dead, 0)
    leftover = tmp_path / "studies" / f"{durable.TEMPORARY}{journal_of(tmp_path).name}.{dead}.0123abcd"
    leftover.mkdir()
    (leftover / "checkpoint.safetensors").write_bytes(b"half")
    search_for(1, split, "item-to-item", settings)
    assert not leftover.exists()


def test_a_second_search_of_the_same_study_at_the_same_time_is_refused(tmp_path, split):
    settings = quick_settings(tmp_path)
    search_for(1, split, "item-to-item", settings)
    journal = journal_of(tmp_path)
    with (
        durable.lock(journal.with_name(f".{journal.name}.lock")),
        pytest.raises(UsageFault, match=r"another search is at work on .*Wait until it has ended"),
    ):
        search_for(1, split, "item-to-item", settings)


@pytest.mark.parametrize(
    "other",
    [
        {"training": Training(max_history=10, threads=1, seed=2)},
        {"item_to_item": ItemToItem(neighbours=(7,), windows=(60,))},
        {"popularity": Popularity(half_lives_days=(1.0,))},
    ],
)
def test_trials_under_other_settings_do_not_count(tmp_path, split, other):
    search_for(2, split, "item-to-item", quick_settings(tmp_path))
    assert search_for(1, split, "item-to-item", quick_settings(tmp_path, **other)).trials == 1


def test_compressed_sasrec_goes_on_with_the_study_of_sasrec(tmp_path, split):
    settings = quick_settings(tmp_path)
    search_for(1, split, "sasrec", settings)
    assert search_for(1, split, "sasrec:jpq", settings).trials == 2


def test_run_of_found_settings_can_be_made_again_without_a_search(tmp_path, split):
    found = search_for(6, split, "item-to-item", quick_settings(tmp_path / "searched"))
    searched = train(split, "item-to-item", found.settings)
    by_hand = quick_settings(tmp_path / "by-hand", item_to_item=found.settings.item_to_item)
    assert train(split, "item-to-item", by_hand).description == searched.description
    recorded = searched.description.settings["item-to-item"]
    assert {key: recorded[key] for key in found.changed} == {k: list(v) for k, v in found.changed.items()}


def test_nothing_to_search_is_refused_with_what_can_be(tmp_path, split):
    with pytest.raises(UsageFault, match="item-to-item, vmis-knn"):
        search_for(1, split, "popularity", quick_settings(tmp_path))


def test_a_log_that_cannot_have_the_training_is_not_searched(tmp_path, split):
    with pytest.raises(UsageFault, match="ease is left out"):
        search_for(1, split, "ease", quick_settings(tmp_path, ease=Ease(max_items=10)))


def test_minutes_are_shared_by_what_trials_take():
    shares = minutes_by_name(["popularity", "item-to-item", "sasrec", "sasrec:jpq", "blend"], 20)
    assert shares == {"item-to-item": 20 * 1 / 10, "sasrec": 20 * 8 / 10, "blend": 20 * 1 / 10}
    assert minutes_by_name(["sasrec:jpq"], 5) == {"sasrec:jpq": 5}
    assert minutes_by_name(["popularity"], 5) == {}
