"""Variant fp16: weights stored in half precision, widened to float32 before they are used.

Arithmetic stays float32: processors that serve have no fast half precision. The file is half as large.
"""

import numpy as np
import onnx

from export.variants.rewriting import LEAST_NUMBERS, CannotBeMade, Narrow, narrow_integers, store_narrow, tables_of


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its weights in half precision and its indices in few bytes. Raises `CannotBeMade`.

    Matrices only; where there is none, the lists. Next to a matrix, a list (a bias per item, the popular
    list) is too small to matter, and its small values would vanish in half precision.
    """
    tables = tables_of(model)
    floats = {name: array for name, array in tables.items() if array.dtype == np.float32 and _fits(array)}
    matrices = {name: array for name, array in floats.items() if sum(size > 1 for size in array.shape) > 1}
    chosen = matrices or floats
    narrow = {name: Narrow(array.astype(np.float16), array.dtype) for name, array in chosen.items()}
    narrow |= narrow_integers(tables)
    if not narrow:
        raise CannotBeMade(f"the graph holds no table of at least {LEAST_NUMBERS} numbers to store in fewer bytes")
    return store_narrow(model, narrow)


def _fits(array: np.ndarray) -> bool:
    return bool(np.abs(array).max() <= np.finfo(np.float16).max)
