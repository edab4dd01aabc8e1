"""A run becomes the same sealed artifact every time, without a look at the holdout."""

import msgspec
import numpy as np
import pytest

from contracts import item_numbers
from contracts.artifact import MANIFEST, Artifact, open_artifact
from contracts.catalog_files import CATALOG_FILES, TITLE_ENDS, TITLES
from contracts.faults import UsageFault
from export import exporting
from export.exporting import export_run, export_untrained
from export.sealing import PROBE_ITEMS
from models.splits.split import make_split, open_split
from models.training import train
from service.predictor import OnnxPredictor

THREE_RUNGS = ("popularity", "item-to-item", "sasrec")


def fp32_of(run, settings) -> Artifact:
    """Export as fp32 only, and open what was sealed."""
    (attempt,) = export_run(run, settings, variants=["fp32"])
    return open_artifact(settings.paths.artifacts / attempt.artifact)


def contents(artifact: Artifact) -> dict[str, bytes]:
    return {name: (artifact.path / name).read_bytes() for name in (MANIFEST, *artifact.manifest.files)}


@pytest.mark.parametrize("rung", THREE_RUNGS)
def test_the_same_run_exported_twice_has_the_same_bytes(rung, run_of, elsewhere, exported):
    once = fp32_of(run_of(rung), elsewhere)
    again = fp32_of(run_of(rung), elsewhere)
    assert again.path == once.path
    assert contents(once) == contents(exported.artifact(rung))
    assert set(once.manifest.files) == {
        "model.onnx",
        "popular.npy",
        "probes.json",
        *CATALOG_FILES,
        TITLES,
        TITLE_ENDS,
    }


def test_train_and_export_never_read_the_holdout(exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    paths = copy.settings.paths
    (split_folder,) = {path.parent for path in paths.runs.rglob("split.json")}
    (split_folder / "holdout.parquet").unlink()
    for rung in THREE_RUNGS:
        (folder,) = paths.runs.glob(f"{rung}-[0-9a-f]*/run.json")
        folder.unlink()
        run = train(open_split(split_folder), rung, copy.settings)
        assert not run.reused
        assert contents(fp32_of(run, copy.settings)) == contents(exported.artifact(rung))


def test_probes_are_histories_with_the_answers_that_the_model_gives(sealed, exported, run_of):
    probes = sealed["popularity"].probes
    assert len(probes) == exported.settings.export.probes
    weights = run_of("popularity").popularity()
    for probe in probes:
        best = [item for item in np.argsort(-weights, kind="stable") if item not in probe.history][:PROBE_ITEMS]
        assert probe.items == best
        np.testing.assert_allclose(probe.scores, weights[best])
    for artifact in sealed.values():
        OnnxPredictor(artifact).replay_probes()


def test_the_manifest_says_how_to_make_the_model_again(sealed, split):
    training = sealed["sasrec"].manifest.training
    assert training.split_sha256 == split.description.sha256
    assert training.log_sha256 == split.description.log_sha256
    assert (training.protocol, training.parts, training.interactions) == (
        "time-split",
        ["train"],
        len(split.train),
    )
    assert training.libraries.keys() >= {"torch", "onnx", "onnxruntime"}
    assert sealed["sasrec"].manifest.opset == 20


def test_the_fallback_is_every_item_by_popularity(sealed, run_of):
    for rung, artifact in sealed.items():
        weights = run_of(rung).popularity()
        assert (np.diff(weights[artifact.popular]) <= 0).all()
        assert sorted(artifact.popular) == list(range(len(weights)))


def test_item_numbers_are_shared_by_all_artifacts(sealed, exported):
    table = item_numbers.load(exported.settings.paths.artifacts)
    for artifact in sealed.values():
        catalog = artifact.catalog
        assert catalog.item_numbers.tolist() == [table[item] for item in catalog.item_ids]


def test_a_history_length_changed_since_training_does_not_reach_the_graph(run_of, elsewhere):
    settings = msgspec.structs.replace(
        elsewhere, training=msgspec.structs.replace(elsewhere.training, max_history=3)
    )
    assert OnnxPredictor(fp32_of(run_of("sasrec"), settings)).max_history == 10


def test_histories_of_the_train_part_are_grouped_for_heads_alone(run_of, elsewhere, monkeypatch):
    asked = []
    monkeypatch.setattr(exporting, "training_histories", lambda split: asked.append(split) or [[0]])
    export_run(run_of("sasrec"), elsewhere, variants=["fp32", "fp16"])
    assert asked == []
    export_run(run_of("sasrec"), elsewhere, variants=["int4-rerank"])
    assert len(asked) == 1


def test_another_split_in_the_place_of_the_trained_one_is_refused(world, tmp_path):
    copy = world.copy(tmp_path / "copy")
    run = train(make_split(copy.log, tmp_path / "cut", copy.settings), "popularity", copy.settings)
    protocol = msgspec.structs.replace(copy.settings.split, protocol="leave-one-out")
    make_split(copy.log, tmp_path / "cut", msgspec.structs.replace(copy.settings, split=protocol))
    with pytest.raises(UsageFault, match="was trained on split"):
        export_run(run, copy.settings)


def test_a_log_in_which_nobody_of_validation_was_there_before_is_exported_all_the_same(world, tmp_path):
    copy = world.copy(tmp_path / "copy")
    rows = [f"u{row % 100 if row < 800 else row},i{row * row % 31},{row}" for row in range(1000)]
    (copy.log / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    split = make_split(copy.log, tmp_path / "cut", copy.settings)
    assert not set(split.validation.users) & set(split.train.users)
    fp32_of(train(split, "item-to-item", copy.settings), copy.settings)


@pytest.mark.parametrize("rung", ["item-to-item", "mean"])
def test_untrained_weights_answer_and_leave_the_item_numbers_alone(rung, elsewhere):
    artifact = export_untrained(rung, 50, elsewhere)
    assert artifact.manifest.training is None
    assert artifact.catalog.item_ids[:2] == ["0", "1"]
    OnnxPredictor(artifact).replay_probes()
    assert item_numbers.load(elsewhere.paths.artifacts) == {}
