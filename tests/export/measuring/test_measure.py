"""Figures stand beside the artifact, belong to one artifact on one machine, and are measured once."""

import dataclasses
import hashlib
import json

import msgspec
import pytest

from contracts.faults import ArtifactFault, UsageFault
from contracts.machine import machine_name
from export.exporting import export_untrained
from export.measuring import measure as measuring
from export.measuring import measured as measured_figures
from export.measuring.candidates import choose_candidates, measured_candidates, split_of
from export.measuring.measure import BASELINE, measure
from export.measuring.measured import read_measured
from models.splits.questions import holdout_questions


@pytest.fixture
def chosen(measured):
    return choose_candidates(measured.settings.paths.artifacts, ())


def figures_of(artifact):
    return artifact.path / f"measured-{machine_name()}.json"


def test_every_artifact_gets_its_figures_with_the_machine_and_the_manifest(chosen):
    for artifact in chosen:
        figures = json.loads(figures_of(artifact).read_text())
        assert (
            figures["manifest_sha256"]
            == hashlib.sha256((artifact.path / "manifest.json").read_bytes()).hexdigest()
        )
        assert figures["machine"]["threads"] == 1
        assert [latency["batch_size"] for latency in figures["latency"]] == [1, 8]
        assert figures["size_bytes"] == sum(
            (artifact.path / name).stat().st_size for name in ("manifest.json", *artifact.manifest.files)
        )
        assert figures["footprint"]["cold_start_ms"] > 0
        assert figures["quality"]["metrics"].keys() >= {"NDCG@10", "HitRate@10", "MRR@20"}


def test_the_planted_signal_is_found_and_compared_question_by_question(measured):
    by_name = {c.artifact.name: c for c in measured_candidates(measured.settings.paths.artifacts, "NDCG@10")}
    baseline, neighbours = by_name[BASELINE], by_name["item-to-item:fp32"]
    assert baseline.measured.against_baseline.difference.high == 0
    gain = neighbours.measured.against_baseline.difference
    assert gain.value == pytest.approx(neighbours.quality.value - baseline.quality.value)
    assert gain.low > 0
    best = max(by_name.values(), key=lambda c: c.quality.value)
    assert {c.measured.against_best.name for c in by_name.values()} == {best.artifact.name}
    assert best.measured.against_best.difference.value == 0


def test_what_was_measured_already_is_read_back(chosen, measured):
    before = [figures_of(artifact).read_bytes() for artifact in chosen]
    again = measure(chosen, split_of(chosen[0], measured.settings.paths.runs), measured.settings)
    assert [figures_of(artifact).read_bytes() for artifact in chosen] == before  # a latency never comes twice
    assert [c.measured for c in again] == [read_measured(artifact) for artifact in chosen]


@pytest.mark.parametrize(
    "change",
    [
        {"manifest_sha256": "0" * 64},
        {"machine": {"name": "elsewhere", "cpu": "another", "cores": 64, "threads": 1}},
    ],
)
def test_figures_of_another_artifact_or_machine_do_not_count(change, chosen, measured, tmp_path):
    copy = measured.copy(tmp_path / "copy")
    artifact = copy.artifact("sasrec")
    figures = json.loads(figures_of(artifact).read_text())
    figures_of(artifact).write_text(json.dumps(figures | change))
    assert read_measured(artifact) is None
    with pytest.raises(UsageFault, match=r"not measured together.*no figures: sasrec:fp32"):
        measured_candidates(copy.settings.paths.artifacts, "NDCG@10")


def test_figures_named_after_another_machine_are_not_looked_at(chosen, monkeypatch):
    monkeypatch.setattr(measured_figures, "machine_name", lambda: "elsewhere")
    assert [read_measured(artifact) for artifact in chosen] == [None] * 3


def test_damaged_figures_are_measured_again(measured, tmp_path):
    artifact = measured.copy(tmp_path / "copy").artifact("popularity")
    figures_of(artifact).write_bytes(b'{"run": "')
    assert read_measured(artifact) is None


def test_other_settings_of_measuring_measure_again(exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    artifact = copy.artifact("popularity")
    split = split_of(artifact, copy.settings.paths.runs)
    one, other = (
        measure([artifact], split, msgspec.structs.replace(copy.settings, measuring=measuring_settings))[
            0
        ].measured
        for measuring_settings in (
            copy.settings.measuring,
            msgspec.structs.replace(copy.settings.measuring, batch_sizes=(4,)),
        )
    )
    assert one.run != other.run
    assert [latency.batch_size for latency in other.latency] == [4]
    assert msgspec.json.encode(one.quality) == msgspec.json.encode(other.quality)  # quality has no chance in it


def test_of_a_large_holdout_some_questions_are_asked_and_the_figures_say_so(exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    artifact = copy.artifact("popularity")
    split = split_of(artifact, copy.settings.paths.runs)
    few = msgspec.structs.replace(copy.settings.measuring, questions=20, rounds=1, calls_per_round=1)
    (candidate,) = measure([artifact], split, msgspec.structs.replace(copy.settings, measuring=few))
    everyone, quality = len(holdout_questions(split)), candidate.measured.quality
    assert (quality.evaluations, quality.not_asked) == (20, everyone - 20)
    assert quality.asked == f"20 of {everyone:,} evaluations"
    assert msgspec.json.decode(msgspec.json.encode(quality))["not_asked"] == everyone - 20


def test_the_baseline_must_be_among_them(exported, split):
    with pytest.raises(UsageFault, match="needs the baseline popularity:fp32"):
        measure([exported.artifact("sasrec")], split, exported.settings)


def test_an_artifact_of_another_training_is_refused(exported, split, elsewhere):
    untrained = export_untrained("mean", 60, elsewhere)
    with pytest.raises(UsageFault, match=r"none \(untrained\)"):
        measure([exported.artifact("popularity"), untrained], split, exported.settings)


def test_an_artifact_that_fails_its_own_probes_is_not_measured(exported, split, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    artifact = copy.artifact("popularity")
    artifact.probes[0].items.reverse()
    with pytest.raises(ArtifactFault, match="answers its probe 0"):
        measure([artifact], split, copy.settings)


def test_another_runtime_measures_again(chosen, measured, monkeypatch):
    split = split_of(chosen[0], measured.settings.paths.runs)
    before = measuring._run_key(chosen, split, measured.settings)
    monkeypatch.setattr(measuring, "version", lambda library: "0.0")
    assert measuring._run_key(chosen, split, measured.settings) != before


@pytest.mark.parametrize(
    ("variant", "run", "expected"),
    [
        ("fp16", "b", 1),
        ("fp16", "a", 0),
        ("fp16", "c", None),  # the fp32 of another run is another model
        ("jpq", "c", 1),  # learned on its own: held against the rung's
        ("fp32", "b", None),
    ],
)
def test_a_compressed_artifact_is_held_against_the_fp32_it_was_made_from(variant, run, expected, chosen):
    def of(variant, run):
        manifest = msgspec.structs.replace(chosen[0].manifest, rung="sasrec", variant=variant, run=run)
        return dataclasses.replace(chosen[0], manifest=manifest)

    together = [of("fp32", "a"), of("fp32", "b"), chosen[0]]
    assert measuring._uncompressed_of(of(variant, run), together) == expected
