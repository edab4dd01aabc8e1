"""Every run gives its variants or says why not; compressed ones answer almost as fp32 does, whatever the batch."""

import functools
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from contracts.artifact import MANIFEST, Artifact, open_artifact
from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import ArtifactFault, UsageFault
from contracts.sections import CONVERSIONS, Settings
from export import attempting
from export.exporting import export_run, export_untrained
from export.variants import parity
from export.variants.attempts import Attempt, read_attempts, record_attempts
from export.variants.parity import Closeness, Tolerance, compare
from models.runs import Run
from service.predictor import OnnxPredictor

COMPRESSED = CONVERSIONS[1:]
LENGTH, ITEMS = 10, 700
"""More items than a byte counts, so that indices need two."""


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Random weights over 700 items by rung and variant, as far as they exist."""
    settings = read(tmp_path_factory.mktemp("untrained"))

    @functools.cache
    def make(rung: str, variant: str) -> Artifact:
        return export_untrained(rung, ITEMS, settings, variant=variant)

    return make


def read(folder) -> Settings:
    settings = Settings()
    return msgspec.structs.replace(
        settings,
        paths=msgspec.structs.replace(settings.paths, artifacts=folder),
        training=msgspec.structs.replace(settings.training, max_history=LENGTH),
        sasrec=msgspec.structs.replace(settings.sasrec, dimension=32, heads=2),
    )


def histories(rows: int, shortest: int = 1) -> list[list[int]]:
    rng = np.random.default_rng(5)
    return [rng.integers(ITEMS, size=rng.integers(shortest, LENGTH + 1)).tolist() for _ in range(rows)]


def ask(predictor: OnnxPredictor, asked: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return predictor.predict(encode_histories(asked, LENGTH), encode_excluded(asked), 20)


def model_bytes(artifact: Artifact) -> int:
    return artifact.manifest.files["model.onnx"].size_bytes


def contents(artifact: Artifact) -> dict[str, bytes]:
    return {name: (artifact.path / name).read_bytes() for name in (MANIFEST, *artifact.manifest.files)}


def by_variant(attempts: list[Attempt]) -> dict[str, Attempt]:
    return {attempt.variant: attempt for attempt in attempts}


@pytest.mark.parametrize(
    ("rung", "variant", "share"),
    [
        ("sasrec", "fp16", 0.55),
        ("sasrec", "int8-dynamic", 0.45),
        ("sasrec", "int8-static", 0.45),
        ("mean", "int8-dynamic", 0.35),
        ("item-to-item", "fp16", 0.55),
        ("item-to-item", "int8-dynamic", 0.45),
        ("popularity", "fp16", 0.7),
    ],
)
def test_a_compressed_graph_is_smaller_and_answers_almost_the_same(rung, variant, share, untrained):
    fp32, compressed = untrained(rung, "fp32"), untrained(rung, variant)
    assert model_bytes(compressed) <= share * model_bytes(fp32)
    like_those_that_calibrated = histories(64, shortest=LENGTH)
    closeness = compare(OnnxPredictor(compressed), OnnxPredictor(fp32), like_those_that_calibrated)
    assert closeness.shortfall(parity.TOLERANCES[variant]) == ""
    assert closeness.score_difference > 0  # something was rounded
    OnnxPredictor(compressed).replay_probes()


@pytest.mark.parametrize("variant", ["fp32", "int8-dynamic", "int8-static"])
def test_a_history_alone_is_answered_as_among_others_bit_for_bit(variant, untrained):
    predictor, asked = OnnxPredictor(untrained("sasrec", variant)), histories(33)
    together = ask(predictor, asked)
    for row, history in enumerate(asked):
        for alone, among_others in zip(ask(predictor, [history]), together, strict=True):
            assert alone[0].tobytes() == among_others[row].tobytes()


def test_the_item_table_stands_in_an_8_bit_file_once(untrained):
    graph = onnx.load(untrained("sasrec", "int8-dynamic").model_path).graph
    tables = [t for t in graph.initializer if ITEMS + 1 in t.dims and len(t.dims) == 2 and 32 in t.dims]
    assert [(list(t.dims), t.data_type) for t in tables] == [([ITEMS + 1, 32], TensorProto.INT8)]


def test_no_scale_is_shared_by_a_batch(untrained):
    graph = onnx.load(untrained("sasrec", "int8-dynamic").model_path).graph
    kinds = {node.op_type for node in graph.node}
    assert "MatMulInteger" in kinds
    assert "DynamicQuantizeLinear" not in kinds


def test_compressed_activations_stay_below_128_so_that_no_processor_saturates(untrained):
    model = onnx.load(untrained("sasrec", "int8-dynamic").model_path)
    multiplied = [node.input[0] for node in model.graph.node if node.op_type == "MatMulInteger"]
    model.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.UINT8, None) for n in set(multiplied))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    asked = histories(16)
    given = {"history": encode_histories(asked, LENGTH), "excluded": encode_excluded(asked), "k": np.array([1])}
    found = np.concatenate([values.ravel() for values in session.run(sorted(set(multiplied)), given)])
    assert (found.min(), found.max()) == (1, 127)


@pytest.mark.parametrize("rung", ["popularity", "item-to-item", "sasrec"])
def test_every_variant_of_a_run_is_made_or_says_why_not(rung, run_of, elsewhere):
    attempts = export_run(run_of(rung), elsewhere, variants=CONVERSIONS)
    assert [attempt.variant for attempt in attempts] == list(CONVERSIONS)
    for attempt in attempts:
        assert (attempt.rung, attempt.run) == (rung, run_of(rung).folder.name)
        assert (attempt.artifact is not None) == (attempt.status == "made") == (attempt.why == "")
    assert attempts[0].status == "made"
    assert read_attempts(elsewhere.paths.artifacts) == attempts


def test_what_a_graph_cannot_be_is_explained(run_of, elsewhere):
    popularity = by_variant(export_run(run_of("popularity"), elsewhere, variants=CONVERSIONS))
    assert "255 steps would merge their ranks" in popularity["int8-dynamic"].why
    counted = by_variant(export_run(run_of("item-to-item"), elsewhere, variants=CONVERSIONS))
    assert counted["int8-static"].status == "impossible"
    assert "nothing that real histories could calibrate" in counted["int8-static"].why


def test_the_same_run_exported_twice_has_the_same_bytes_in_every_variant(run_of, elsewhere):
    rounds = []
    for _ in range(2):
        attempts = export_run(run_of("sasrec"), elsewhere, variants=CONVERSIONS)
        places = [elsewhere.paths.artifacts / attempt.artifact for attempt in attempts if attempt.artifact]
        rounds.append([contents(open_artifact(place)) for place in places])
        assert len(places) == 4
        for place in places:
            for file in place.iterdir():
                file.unlink()
    assert rounds[0] == rounds[1]


def test_a_variant_that_strays_is_recorded_as_failed_and_not_sealed(run_of, elsewhere, monkeypatch):
    strict = dict.fromkeys(COMPRESSED, Tolerance(1.0, 0.0))
    monkeypatch.setattr(attempting, "TOLERANCES", strict)
    attempts = export_run(run_of("sasrec"), elsewhere, variants=["fp16", "int8-dynamic", "fp32"])
    assert [(attempt.variant, attempt.status) for attempt in attempts] == [
        ("fp32", "made"),
        ("fp16", "failed"),
        ("int8-dynamic", "failed"),
    ]
    failed = attempts[2]
    assert failed.artifact is None
    assert failed.score_difference > 0
    assert "top 10" in failed.why or "of the spread" in failed.why
    left = [path.name for path in elsewhere.paths.artifacts.iterdir() if path.is_dir()]
    assert left == [attempts[0].artifact]


def test_one_variant_alone_leaves_what_was_tried_before_on_record(run_of, elsewhere):
    first = export_run(run_of("item-to-item"), elsewhere, variants=["fp32", "fp16"])
    (again,) = export_run(run_of("item-to-item"), elsewhere, variants=["int8-dynamic"])
    assert read_attempts(elsewhere.paths.artifacts) == [*first, again]


def test_exports_of_one_run_at_once_keep_each_others_records(tmp_path):
    def record(number: int) -> None:
        record_attempts(tmp_path, [Attempt("sasrec", f"variant-{number}", "made", "", 1.0, 0.0, "x", "sasrec-1")])

    with ThreadPoolExecutor(8) as exports:
        list(exports.map(record, range(40)))
    assert {attempt.variant for attempt in read_attempts(tmp_path)} == {f"variant-{n}" for n in range(40)}


def test_a_damaged_record_names_the_file_and_the_remedy(tmp_path):
    (tmp_path / "variants-sasrec-1.json").write_text("[{]")
    with pytest.raises(ArtifactFault, match=r"variants-sasrec-1.json is damaged: .* run `flyweight export`"):
        read_attempts(tmp_path)


def test_a_run_that_learned_its_compression_has_that_one_variant(run_of, elsewhere):
    run = run_of("popularity")
    compressed = Run(run.folder, msgspec.structs.replace(run.description, variant="jpq"))
    (attempt,) = export_run(compressed, elsewhere, variants=CONVERSIONS)
    assert (attempt.variant, attempt.status, attempt.overlap) == ("jpq", "made", 1.0)
    assert open_artifact(elsewhere.paths.artifacts / attempt.artifact).name == "popularity:jpq"


def test_a_table_that_learned_no_codes_has_no_head_for_codes(run_of, elsewhere):
    (attempt,) = export_run(run_of("sasrec"), elsewhere, variants=["jpq-ivf"])
    assert (attempt.status, attempt.artifact) == ("impossible", None)
    assert "no table of codes" in attempt.why


def test_random_weights_come_in_a_variant(untrained):
    assert untrained("item-to-item", "fp16").name == "item-to-item:fp16"
    assert untrained("ials", "int8-rerank").name == "ials:int8-rerank"


@pytest.mark.parametrize(
    ("rung", "variant", "why"),
    [
        ("item-to-item", "int8-static", ""),
        ("item-to-item", "ivf", "no item embeddings"),
        ("sasrec", "int8-rerank", "popularity is mixed into every score"),
        ("sasrec", "jpq-ivf", "no table of codes"),
    ],
)
def test_random_weights_that_cannot_be_had_in_a_variant_say_why(rung, variant, why, untrained):
    with pytest.raises(UsageFault, match=f"{rung} has no variant {variant}: .*{why}.*Leave it out"):
        untrained(rung, variant)


@pytest.mark.parametrize(
    ("closeness", "said"),
    [
        (Closeness(0.99, 0.01), ""),
        (Closeness(0.98, 0.0), "shares 0.980 of the top 10 with fp32, at least 0.99 is asked"),
        (Closeness(1.0, 0.02), "a score is off by 0.02 of the spread, at most 0.01 is allowed"),
        (Closeness(1.0, float("nan")), "a score is off by nan of the spread, at most 0.01 is allowed"),
    ],
)
def test_a_shortfall_is_told_in_figures(closeness, said):
    assert closeness.shortfall(Tolerance(0.99, 0.01)) == said
