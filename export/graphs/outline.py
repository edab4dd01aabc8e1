"""A graph whose large tables stand beside it, and how both are written.

Protobuf holds at most 2 GB, and every copy of a message copies its tables. So a graph in the making can be an
outline: in the place of a large table it has an input of that name, type and shape, and the tables are arrays in
a dict. Written, the tables lie in `model.data` beside `model.onnx`. The runtime maps that file: it reads only
what it touches, and the processes of one machine share it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contracts.artifact import MODEL_DATA, QUERY_MODEL

LARGE_BYTES = 1 << 20
"""Tables from here on stand beside the graph. A graph without one is a single file."""

_MOST_BYTES = (1 << 31) - (1 << 24)
_ALIGNMENT = 4096
"""A table begins on a page, so that it can be mapped as it is."""


@dataclass(frozen=True)
class Outline:
    """`model` has an input for each of `tables` besides its own, or for those it reads where it is one of two:
    `query` makes what an index searches by, and `write_index` writes the index into a folder."""

    model: onnx.ModelProto
    tables: dict[str, np.ndarray]
    query: onnx.ModelProto | None = None
    write_index: Callable[[Path], None] | None = None

    @property
    def size_bytes(self) -> int:
        return self.model.ByteSize() + sum(table.nbytes for table in self.tables.values())

    @property
    def fits_in_one_piece(self) -> bool:
        return self.size_bytes <= _MOST_BYTES


def outlined(model: onnx.ModelProto) -> Outline:
    """The graph with its large tables beside it."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    large = [tensor for tensor in model.graph.initializer if len(tensor.raw_data) >= LARGE_BYTES]
    names = {tensor.name for tensor in large}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in names]
    del small.graph.initializer[:]
    small.graph.initializer.extend(kept)
    tables = {tensor.name: numpy_helper.to_array(tensor) for tensor in large}
    return outline(small, tables)


def outline(model: onnx.ModelProto, tables: dict[str, np.ndarray]) -> Outline:
    """`model` reads `tables` by their names; it is given an input for each."""
    model.graph.input.extend(
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(table.dtype), table.shape)
        for name, table in tables.items()
    )
    return Outline(model, tables)


def inlined(found: Outline) -> onnx.ModelProto:
    """The graph with its tables inside; `fits_in_one_piece` says whether there is one."""
    stored = {name: numpy_helper.from_array(table, name) for name, table in found.tables.items()}
    return _with_tables(found.model, stored)


def write_outline(found: Outline, path: Path) -> None:
    """Write the graph to `path`, and beside it its large tables to `model.data`, and what precedes it, where there
    is such a thing."""
    large = {name: table for name, table in sorted(found.tables.items()) if table.nbytes >= LARGE_BYTES}
    stored = {
        name: numpy_helper.from_array(table, name) for name, table in found.tables.items() if name not in large
    }
    if large:
        with (path.parent / MODEL_DATA).open("wb") as file:
            for name, table in large.items():
                file.write(bytes(-file.tell() % _ALIGNMENT))
                stored[name] = _reference(name, table, file.tell())
                np.ascontiguousarray(table).tofile(file)
    onnx.save_model(_with_tables(found.model, stored), path)
    if found.query is not None:
        onnx.save_model(_with_tables(found.query, stored), path.with_name(QUERY_MODEL))
    if found.write_index is not None:
        found.write_index(path.parent)


def _reference(name: str, table: np.ndarray, offset: int) -> TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(table.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=table.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", MODEL_DATA), ("offset", offset), ("length", table.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _with_tables(outlined_model: onnx.ModelProto, stored: Mapping[str, TensorProto]) -> onnx.ModelProto:
    """Inputs that are tables become what is stored of them."""
    model = onnx.ModelProto()
    model.CopyFrom(outlined_model)
    inputs = list(model.graph.input)
    del model.graph.input[:]
    model.graph.input.extend(value for value in inputs if value.name not in stored)
    model.graph.initializer.extend(stored[value.name] for value in inputs if value.name in stored)
    return model
