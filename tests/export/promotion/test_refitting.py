"""After the decision the winner learns from more of the log, and is checked again before the pointer moves."""

import shutil

import msgspec
import pytest

from contracts.faults import RunNotValid, UsageFault, VerdictIsNo
from contracts.pointer import find_artifact
from contracts.sections import Settings
from export.measuring.candidates import choose_candidates
from export.measuring.measure import measure
from export.promotion.refitting import refit_winner
from models.runs import open_run
from models.splits.split import open_split
from service.predictor import OnnxPredictor


@pytest.fixture
def copy(measured, tmp_path):
    return measured.copy(tmp_path / "copy")


def asking_for(world, refit="train+validation", **promotion) -> Settings:
    settings = world.settings
    return msgspec.structs.replace(
        settings,
        training=msgspec.structs.replace(settings.training, refit=refit),
        promotion=msgspec.structs.replace(settings.promotion, **promotion),
    )


@pytest.mark.parametrize("rung", ["popularity", "item-to-item", "sasrec"])
def test_refit_carries_the_winners_choices_and_names_whose_figures_it_has(copy, rung):
    winner, settings = copy.artifact(rung), asking_for(copy)
    artifact, sentence = refit_winner(winner, settings)
    before, after = winner.manifest, artifact.manifest
    assert (after.figures_of, before.figures_of) == (winner.version, "")
    assert after.training.parts == ["train", "validation"]
    assert after.training.interactions > before.training.interactions
    assert (after.training.chosen, after.repeat_policy) == (before.training.chosen, before.repeat_policy)
    assert f"train + validation ({after.training.interactions:,} interactions" in sentence
    OnnxPredictor(artifact).replay_probes()


def test_refit_of_a_compressed_winner_is_compressed_alike(copy):
    from export.exporting import export_run

    winner = copy.artifact("item-to-item")
    run = open_run(copy.settings.paths.runs / winner.manifest.run)
    export_run(run, copy.settings, variants=["fp16"])
    compressed = find_artifact(copy.settings.paths.artifacts, "item-to-item:fp16")
    artifact, _ = refit_winner(compressed, asking_for(copy))
    assert artifact.manifest.variant == "fp16"


def test_equal_refits_are_the_same_artifact(copy):
    winner, settings = copy.artifact("item-to-item"), asking_for(copy)
    assert refit_winner(winner, settings)[0].version == refit_winner(winner, settings)[0].version


def test_without_a_refit_the_winner_itself_ships(copy):
    winner = copy.artifact("item-to-item")
    shutil.rmtree(copy.settings.paths.runs)  # not needed then
    assert refit_winner(winner, asking_for(copy, refit="none")) == (winner, "")


def test_refit_whose_split_is_gone_is_refused_with_the_way_out(copy):
    shutil.rmtree(copy.settings.paths.runs / "splits")
    with pytest.raises(UsageFault, match=r"cannot be trained again: .*refit = \"none\""):
        refit_winner(copy.artifact("item-to-item"), asking_for(copy))


def test_refit_that_misses_a_limit_is_refused(copy):
    """The limit lies between the two sizes: the winner keeps it, what it becomes does not."""
    winner = copy.artifact("popularity")
    grown, _ = refit_winner(winner, asking_for(copy))
    assert grown.size_bytes != winner.size_bytes
    limit = f"size_mb <= {(grown.size_bytes - 1) / 1e6:.6f}"
    with pytest.raises(
        VerdictIsNo, match=r"trained again it misses `size_mb <= .*Nothing was promoted.*refit = \"none\""
    ):
        refit_winner(winner, asking_for(copy, threshold=(limit,)))


@pytest.mark.parametrize("limit", ["p99_ms <= 0.000001", "throughput >= 1000000000"])
def test_refit_is_not_blamed_for_a_limit_that_the_winner_timed_beside_it_misses_too(limit, copy):
    with pytest.raises(RunNotValid, match=f"it misses `{limit}` itself.*busier.*Nothing was promoted.*again"):
        refit_winner(copy.artifact("popularity"), asking_for(copy, threshold=(limit,)))


def test_refit_competes_with_nobody_and_is_not_measured(copy):
    winner, settings = copy.artifact("item-to-item"), asking_for(copy)
    before = [a.version for a in choose_candidates(settings.paths.artifacts, ())]
    artifact, _ = refit_winner(winner, settings)
    assert [a.version for a in choose_candidates(settings.paths.artifacts, ())] == before
    assert find_artifact(settings.paths.artifacts, "item-to-item:fp32").version == winner.version
    split = open_split(open_run(settings.paths.runs / winner.manifest.run).split_folder())
    with pytest.raises(UsageFault, match=f"carries the figures of version {winner.version}"):
        measure([copy.artifact("popularity"), artifact], split, settings)


def test_item_that_is_new_in_the_validation_part_can_be_recommended_after_the_refit(copy):
    winner = copy.artifact("popularity")
    artifact, _ = refit_winner(winner, asking_for(copy, refit="all"))
    assert set(winner.catalog.item_ids) <= set(artifact.catalog.item_ids)
    assert artifact.manifest.training.parts == ["train", "validation", "holdout"]
