"""Activations as 8-bit integers, for products with tables of 8-bit integers.

They use 7 of the 8 bits: processors without VNNI add two products of an unsigned and a signed byte in 16 bits,
and 2 * 127 * 127 still fits there. So the sums are exact, and the same on every processor. Activations are
unsigned, tables signed, because that is the pair for which processors have instructions.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.variants.calibration import Range
from export.variants.rewriting import Rewriting

_HIGHEST, _MIDDLE = 127, 64
_TINY = 1e-30
"""Scale of a row of zeros."""


@dataclass(frozen=True)
class Quantised:
    """Names of an activation's uint8 tensor and its zero point, and its scale: a tensor [.., 1] or a number."""

    integers: str
    zero: str
    scale: str | float


def quantise_by_row(new: Rewriting, name: str) -> Quantised:
    """To 1 .. 127, 64 for zero, by the largest of the row. Half a step is added, then cast cuts it off."""
    axes = new.add_table("int8/last_axis", np.array([-1], dtype=np.int64))
    per_step = new.add_table("int8/per_step", np.array(1 / (_HIGHEST - _MIDDLE), dtype=np.float32))
    tiny = new.add_table("int8/tiny", np.array(_TINY, dtype=np.float32))
    middle = new.add_table("int8/middle_and_half", np.array(_MIDDLE + 0.5, dtype=np.float32))
    zero = new.add_table("int8/middle", np.array(_MIDDLE, dtype=np.uint8))
    size = new.add("Abs", [name], f"{name}/size")
    largest = new.add("ReduceMax", [size, axes], f"{name}/largest", keepdims=1)
    step = new.add("Mul", [largest, per_step], f"{name}/step")
    scale = new.add("Max", [step, tiny], f"{name}/scale")
    steps = new.add("Div", [name, scale], f"{name}/steps")
    shifted = new.add("Add", [steps, middle], f"{name}/shifted")
    integers = new.add("Cast", [shifted], f"{name}/int8", to=TensorProto.UINT8)
    return Quantised(integers, zero, scale)


def quantise_by_range(new: Rewriting, name: str, reach: Range) -> Quantised:
    """To 0 .. 127 over the range; what lies outside it becomes its end."""
    low, high = min(reach.low, 0.0), max(reach.high, 0.0)
    scale = np.float32(max((high - low) / _HIGHEST, _TINY))
    zero = new.add_table(f"{name}/zero", np.array(round(-low / scale), dtype=np.uint8))
    step = new.add_table(f"{name}/step", np.array(scale, dtype=np.float32))
    highest = new.add_table("int8/highest", np.array(_HIGHEST, dtype=np.uint8))
    lowest = new.add_table("int8/lowest", np.array(0, dtype=np.uint8))
    wide = new.add("QuantizeLinear", [name, step, zero], f"{name}/wide")
    integers = new.add("Clip", [wide, lowest, highest], f"{name}/int8")
    return Quantised(integers, zero, float(scale))
