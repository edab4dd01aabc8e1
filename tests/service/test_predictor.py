from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from contracts.artifact import Artifact, Probe
from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import ArtifactFault
from service.predictor import OnnxPredictor


def ask(predictor: OnnxPredictor, histories: list, excluded: list, k: int) -> tuple[list, list]:
    items, scores = predictor.predict(encode_histories(histories, 4), encode_excluded(excluded), k)
    return items.tolist(), scores.tolist()


def test_history_gets_the_sum_of_its_items(artifact: Artifact) -> None:
    # i0 gives i1 1/2, i2 1/4, i3 1/8; i1 gives i2 1/2, i3 1/4
    items, scores = ask(OnnxPredictor(artifact), [[0, 1]], [[]], 3)
    assert items == [[2, 1, 3]]
    assert scores == [[1 / 4 + 1 / 2, 1 / 2, 1 / 8 + 1 / 4]]


def test_excluded_items_never_come_before_others(artifact: Artifact) -> None:
    items, scores = ask(OnnxPredictor(artifact), [[0], [0]], [[1, 2], []], 2)
    assert items == [[3, 4], [1, 2]]
    assert np.isfinite(scores).all()


def test_more_than_the_catalog_is_cut_to_it(artifact: Artifact) -> None:
    items, _ = ask(OnnxPredictor(artifact), [[0]], [[]], 500)
    assert sorted(items[0]) == list(range(8))


def test_right_probes_replay_in_silence(artifact: Artifact) -> None:
    OnnxPredictor(artifact).replay_probes()


@pytest.mark.parametrize(
    "probe",
    [Probe([0], [2, 1, 3], [0.5, 0.25, 0.125]), Probe([0], [1, 2, 3], [0.5, 0.25, 0.2])],
    ids=["other order", "other scores"],
)
def test_wrong_probe_is_refused(tiny, tmp_path: Path, probe: Probe) -> None:
    artifact = tiny.seal(tmp_path, make_probes=lambda model: [probe])
    with pytest.raises(ArtifactFault, match="probe 0"):
        OnnxPredictor(artifact).replay_probes()


def test_probe_with_tied_items_in_another_order_is_right(tiny, tmp_path: Path) -> None:
    flat = np.zeros((9, 9), dtype=np.float32)
    flat[:, 8] = -np.inf
    probe = Probe([0], [4, 3], [0.0, 0.0])  # every item scores 0, so any two are right
    artifact = tiny.seal(tmp_path, model=tiny.graph(flat), make_probes=lambda model: [probe])
    OnnxPredictor(artifact).replay_probes()


def test_graph_with_another_input_type_is_refused(tiny, tmp_path: Path) -> None:
    model = tiny.graph()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    artifact = tiny.seal(tmp_path, model=model, make_probes=lambda path: [])
    with pytest.raises(ArtifactFault, match=r"history int64 .* expected history int32"):
        OnnxPredictor(artifact)


def test_file_that_is_no_graph_is_refused(artifact: Artifact) -> None:
    artifact.model_path.write_bytes(b"not a graph")
    with pytest.raises(ArtifactFault, match="no graph to serve"):
        OnnxPredictor(artifact)
