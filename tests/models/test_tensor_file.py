import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from models.tensor_file import write_tensors

ARRAYS = {
    "codes": np.array([[1, 2, 3]], dtype=np.uint8),
    "table": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "heads": np.int32([2]),
    "steps": np.float64(3.5).reshape(()),
    "nothing": np.zeros((0, 4), dtype=np.float32),
}


def test_file_holds_what_was_written_whatever_its_shape_and_type(tmp_path):
    write_tensors(tmp_path / "a", ARRAYS, {"scores": "[1]"})
    read = load_file(tmp_path / "a")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
    with safe_open(tmp_path / "a", framework="np") as file:
        assert file.metadata() == {"scores": "[1]"}


def test_order_of_the_arrays_changes_no_byte(tmp_path):
    write_tensors(tmp_path / "a", ARRAYS)
    write_tensors(tmp_path / "b", dict(reversed(ARRAYS.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
