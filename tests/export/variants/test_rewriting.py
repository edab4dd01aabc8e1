"""Graphs rewritten: tables found, and kept in the smallest type that holds them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from export.variants.fp16 import to_fp16
from export.variants.int8 import to_int8_dynamic
from export.variants.rewriting import CannotBeMade, narrow_integers, tables_of


@pytest.mark.parametrize(
    ("low", "high", "stored", "offset"),
    [
        (0, 255, np.uint8, 0),
        (-1, 127, np.int8, 0),
        (0, 65535, np.uint16, 0),
        (-1, 32767, np.int16, 0),
        (-1, 65534, np.uint16, -1),
    ],
)
def test_indices_are_kept_in_the_smallest_type_that_holds_them(low, high, stored, offset):
    table = np.array([[low, high]], dtype=np.int32)
    narrow = narrow_integers({"indices": table})["indices"]
    assert (narrow.stored.dtype, narrow.offset) == (stored, offset)
    assert (narrow.stored.astype(np.int32) + narrow.offset == table).all()


def test_indices_too_large_for_two_bytes_stay_as_they_are():
    assert narrow_integers({"indices": np.array([[-1, 65535]], dtype=np.int32)}) == {}


def graph(text: str, **tables: np.ndarray) -> onnx.ModelProto:
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> {text}')
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tables.items())
    return model


WEIGHTS = np.random.default_rng(2).standard_normal((32, 16)).astype(np.float32)


def test_a_graph_without_tables_cannot_be_compressed():
    plain = graph("g (float[n, 4] x) => (float[n, 4] y) { y = Abs (x) }")
    with pytest.raises(CannotBeMade, match="no table of at least"):
        to_fp16(plain)
    with pytest.raises(CannotBeMade, match="looks up no table of at least 256 weights"):
        to_int8_dynamic(plain)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[n, 32] x) => (float[n, 16] y) { y = MatMul (x, w) }",
        "g (float[n, 16] x) => (float[n, 32] y) { y = Gemm <transB = 1> (x, w) }",
        "g (float[n, 16] x) => (float[n, 32] y) { t = Transpose <perm = [1, 0]> (w) y = MatMul (x, t) }",
    ],
)
def test_a_product_is_found_whichever_way_its_table_lies(text):
    exact, compressed = graph(text, w=WEIGHTS), to_int8_dynamic(graph(text, w=WEIGHTS))
    assert [t.dtype for t in tables_of(compressed).values()] == [np.int8]
    wide = exact.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    x = np.random.default_rng(3).standard_normal((9, wide)).astype(np.float32)
    x[4] = 0
    expected, found = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"x": x})[0] for m in (exact, compressed)
    )
    np.testing.assert_allclose(found, expected, atol=0.05 * np.ptp(expected))
    assert (found[4] == 0).all()


def test_a_table_that_something_else_reads_too_stays_whole():
    both = graph(
        "g (float[n, 32] x) => (float[n, 16] y, float[32, 16] z) { y = MatMul (x, w) z = Abs (w) }", w=WEIGHTS
    )
    with pytest.raises(CannotBeMade):
        to_int8_dynamic(both)
