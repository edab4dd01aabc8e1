"""What a graph takes and gives is read before it is asked anything."""

import pytest
from onnx import TensorProto

from contracts.faults import UsageFault
from export.adopting.signature import read_graph, signature_of
from tests.export.adopting.conftest import (
    EXCLUDED,
    FLOAT,
    FORMS,
    INT,
    LENGTH,
    LONG,
    SOME,
    Drawing,
    K,
    answers_k,
    draw,
    scores_all,
)  # fmt: skip


@pytest.mark.parametrize(
    ("form", "expected"),
    list(zip(FORMS, ("all scores", "some items", "k items", "k items without the excluded"), strict=True)),
)
def test_each_form_is_known_by_the_names_of_inputs_and_outputs(form, expected):
    assert signature_of(draw(form())).form == expected


def test_a_fixed_length_is_found_and_a_varying_one_is_none():
    assert signature_of(draw(Drawing(history=(INT, ["batch", LENGTH])))).length == LENGTH
    assert signature_of(draw(scores_all())).length is None


@pytest.mark.parametrize(
    ("drawing", "complaint"),
    [
        (Drawing(inputs={"ages": (LONG, ["batch", "length"])}), "history .*, ages .* expected the input history"),
        (Drawing(inputs=EXCLUDED), "expected the input history alone, with k"),
        (Drawing(inputs=K), "history alone and scores of every item"),
        (Drawing(outputs={"summed": (FLOAT, ["batch", "items"])}), "outputs summed float .*Rename them"),
        (Drawing(outputs={"items": SOME["items"]}), "expected the input"),
        (Drawing(history=(FLOAT, ["batch", "length"])), "history float .* expected int32 or int64. Put a Cast"),
        (Drawing(history=(LONG, [1, LENGTH])), "found a batch of fixed size.*dynamic first axis"),
        (Drawing(history=(LONG, ["batch"])), "expected 2 dimensions"),
        (Drawing(history=(LONG, ["batch", 5000])), "expected a history of 1 to 1000 items"),
        (Drawing(outputs={"scores": (LONG, ["batch", "items"])}), "scores int64 .* expected float or double"),
        (Drawing(inputs={"k": (LONG, [])}, outputs=SOME), "expected 1 dimension"),
        (Drawing(inputs={"k": (INT, [1])}, outputs=SOME), "k int32 .* expected int64"),
    ],
)  # fmt: skip
def test_what_is_none_of_the_forms_is_refused_with_what_was_found_and_a_remedy(drawing, complaint):
    with pytest.raises(UsageFault, match=complaint):
        signature_of(draw(drawing))


def test_weights_that_old_exporters_list_as_inputs_are_no_inputs():
    model = draw(scores_all())
    model.graph.input.append(draw(Drawing(inputs={"table": (FLOAT, [9, 8])})).graph.input[1])
    assert signature_of(model).form == "all scores"


def test_weights_in_a_file_beside_the_graph_are_read(saved):
    path = saved(scores_all(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert {tensor.data_location for tensor in read_graph(path).graph.initializer} == {TensorProto.DEFAULT}


def test_weights_that_are_missing_are_told(saved):
    path = saved(scores_all(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").unlink()
    with pytest.raises(UsageFault, match=r"weights\.bin.*Expected one file, with files of weights beside it"):
        read_graph(path)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x80\x04\x95"])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(UsageFault, match="cannot be read as an ONNX graph"):
        read_graph(tmp_path / "model.onnx")


def test_an_old_opset_is_refused(saved):
    with pytest.raises(UsageFault, match="opset 14, expected 15 or later"):
        read_graph(saved(Drawing(opset=14)))


def test_a_graph_that_names_its_inputs_otherwise_is_told_where_to_look():
    model = draw(answers_k())
    model.graph.input[0].name = "input_ids"
    with pytest.raises(UsageFault, match=r"inputs input_ids int64 \[batch, length\].*docs/your-model\.md"):
        signature_of(model)
