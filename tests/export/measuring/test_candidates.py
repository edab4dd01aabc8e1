"""Who competes: the newest of each name, of one split, measured together."""

import msgspec
import pytest

from contracts.artifact import open_artifact
from contracts.faults import UsageFault
from export import attempting
from export.exporting import export_run, export_untrained
from export.measuring.candidates import choose_candidates, measured_candidates, split_of
from export.variants.parity import Tolerance
from models.runs import newest_run
from models.splits.split import split_log
from models.training import train


def with_seed(settings, seed):
    return msgspec.structs.replace(settings, training=msgspec.structs.replace(settings.training, seed=seed))


def by_leave_one_out(settings):
    cut = msgspec.structs.replace(settings.split, protocol="leave-one-out")
    return msgspec.structs.replace(settings, split=cut)


def names(artifacts):
    return sorted(artifact.name for artifact in artifacts)


def test_unnamed_all_of_the_newest_split_compete(exported):
    chosen = choose_candidates(exported.settings.paths.artifacts, ())
    assert names(chosen) == ["item-to-item:fp32", "popularity:fp32", "sasrec:fp32"]


def test_a_named_one_competes_with_the_baseline_only_and_once(exported):
    artifacts = exported.settings.paths.artifacts
    assert names(choose_candidates(artifacts, ["sasrec:fp32", "sasrec:fp32"])) == [
        "popularity:fp32",
        "sasrec:fp32",
    ]
    assert names(choose_candidates(artifacts, ["popularity:fp32"])) == ["popularity:fp32"]


def test_of_two_with_one_name_the_newest_competes(exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    settings = with_seed(copy.settings, 5)
    (newest,) = export_run(train(split_log(copy.log, settings), "popularity", settings), settings)
    chosen = {a.name: a for a in choose_candidates(settings.paths.artifacts, ())}
    assert chosen["popularity:fp32"].path.name == newest.artifact
    assert len(chosen) == 3


def test_an_artifact_whose_variant_failed_since_competes_no_more(exported, tmp_path, monkeypatch):
    settings = exported.copy(tmp_path / "copy").settings
    artifacts = settings.paths.artifacts
    run = newest_run(settings.paths.runs, "sasrec")
    export_run(run, settings, variants=["fp32", "fp16"])
    assert "sasrec:fp16" in names(choose_candidates(artifacts, ()))
    monkeypatch.setattr(attempting, "TOLERANCES", {"fp16": Tolerance(1.0, 0.0)})
    (failed,) = export_run(run, settings, variants=["fp16"])
    assert failed.status == "failed"
    assert names(choose_candidates(artifacts, ())) == ["item-to-item:fp32", "popularity:fp32", "sasrec:fp32"]
    monkeypatch.undo()
    export_run(run, settings, variants=["fp16"])
    assert "sasrec:fp16" in names(choose_candidates(artifacts, ()))


def test_an_artifact_of_an_earlier_run_does_not_stand_in_for_one_that_failed(exported, tmp_path, monkeypatch):
    copy = exported.copy(tmp_path / "copy")
    settings = with_seed(copy.settings, 5)
    export_run(newest_run(settings.paths.runs, "item-to-item"), settings, variants=["fp16"])
    monkeypatch.setattr(attempting, "TOLERANCES", {"fp16": Tolerance(1.0, 0.0)})
    export_run(train(split_log(copy.log, settings), "item-to-item", settings), settings, variants=["fp32", "fp16"])
    assert names(choose_candidates(settings.paths.artifacts, ())) == [
        "item-to-item:fp32",
        "popularity:fp32",
        "sasrec:fp32",
    ]


def test_another_split_competes_apart(exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    settings = by_leave_one_out(copy.settings)
    (attempt,) = export_run(train(split_log(copy.log, settings), "popularity", settings), settings)
    other = open_artifact(settings.paths.artifacts / attempt.artifact)
    assert choose_candidates(settings.paths.artifacts, ()) == [other]
    sasrec = copy.artifact("sasrec")
    assert other not in choose_candidates(settings.paths.artifacts, [str(sasrec.path)])


def test_what_was_not_measured_cannot_be_promoted(exported):
    with pytest.raises(UsageFault, match="were not measured together on this machine"):
        measured_candidates(exported.settings.paths.artifacts, "NDCG@10")


def test_figures_for_another_metric_decide_nothing(measured):
    with pytest.raises(UsageFault, match=r"compared by NDCG@10, \[promotion\] metric is MRR@20"):
        measured_candidates(measured.settings.paths.artifacts, "MRR@20")


def test_a_newer_artifact_without_figures_stops_the_decision(measured, tmp_path):
    copy = measured.copy(tmp_path / "copy")
    settings = with_seed(copy.settings, 5)
    export_run(train(split_log(copy.log, settings), "popularity", settings), settings)
    with pytest.raises(UsageFault, match="no figures: popularity:fp32"):
        measured_candidates(settings.paths.artifacts, "NDCG@10")


def test_a_baseline_that_was_taken_away_stops_the_decision(measured, tmp_path):
    copy = measured.copy(tmp_path / "copy")
    (copy.artifact("popularity").path / "manifest.json").unlink()
    with pytest.raises(UsageFault, match="needs the baseline"):
        measured_candidates(copy.settings.paths.artifacts, "NDCG@10")


def test_random_weights_have_no_split_to_be_measured_on(elsewhere):
    artifact = export_untrained("popularity", 20, elsewhere)
    with pytest.raises(UsageFault, match="holds no artifact of a trained run"):
        choose_candidates(elsewhere.paths.artifacts, ())
    with pytest.raises(UsageFault, match="is untrained"):
        split_of(artifact, elsewhere.paths.runs)
