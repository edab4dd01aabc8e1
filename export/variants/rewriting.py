"""Rewriting a graph so that its file holds fewer bytes: what every compressed variant is made with.

A table is a constant tensor of the graph. A lookup is a `Gather` of its rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

LEAST_NUMBERS = 256
"""Smaller tables (norms, biases, scalars) stay as they are: nothing would be gained."""


class CannotBeMade(Exception):
    """This variant does not exist for this graph; the message says why, for a person."""


class Rewriting:
    """A new graph in the making: the tables of `model`, and the nodes that were put into it so far."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes: list[onnx.NodeProto] = []

    def add_table(self, name: str, array: np.ndarray) -> str:
        if name not in self._tensors:
            self._tensors[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: int) -> str:
        self._nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def keep(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)

    def finished(self) -> onnx.ModelProto:
        """The new graph, checked, without the nodes and tables that nothing reads any more.

        A node whose output bears the name of a table takes its place.
        """
        old = self.model.graph
        nodes = _without_unread(self._nodes, {output.name for output in old.output})
        read = {name for node in nodes for name in node.input}
        replaced = {name for node in nodes for name in node.output}
        tensors = [tensor for name, tensor in self._tensors.items() if name in read - replaced]
        graph = helper.make_graph(nodes, old.name, old.input, old.output, tensors)
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        onnx.checker.check_model(model, full_check=True)
        return model


@dataclass(frozen=True)
class Narrow:
    """A table in fewer bytes: `stored` cast to `dtype`, plus `offset`, gives it back."""

    stored: np.ndarray
    dtype: np.dtype
    offset: int = 0


def tables_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The tables worth storing in fewer bytes."""
    large = [t for t in model.graph.initializer if np.prod(t.dims, dtype=np.int64) >= LEAST_NUMBERS]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in large}


def readers_of(model: onnx.ModelProto, table: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if table in node.input]


def is_lookup(node: onnx.NodeProto, table: str) -> bool:
    return node.op_type == "Gather" and node.input[0] == table and node.input[1] != table


def is_looked_up_only(model: onnx.ModelProto, table: str) -> bool:
    return all(is_lookup(node, table) for node in readers_of(model, table))


def attributes_of(node: onnx.NodeProto) -> dict[str, object]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def narrow_integers(tables: dict[str, np.ndarray]) -> dict[str, Narrow]:
    """Tables of indices in the smallest type that holds them, those that have a smaller one.

    -1 marks padding in most; where only that keeps a table out of a type, it is stored shifted.
    """
    found = {}
    for name, array in tables.items():
        if array.dtype in (np.int32, np.int64):
            low, high = int(array.min()), int(array.max())
            for dtype, offset in ((np.uint8, 0), (np.int8, 0), (np.uint16, 0), (np.int16, 0), (np.uint16, low)):
                limits = np.iinfo(dtype)
                if limits.min <= low - offset and high - offset <= limits.max:
                    found[name] = Narrow((array - offset).astype(dtype), array.dtype, offset)
                    break
    return found


def store_narrow(model: onnx.ModelProto, narrow: dict[str, Narrow]) -> onnx.ModelProto:
    """Store those tables in fewer bytes. What is only looked up is widened row by row, as it is read; the rest
    whole, once, when the graph is loaded."""
    new = Rewriting(model)
    looked_up = {name for name in narrow if is_looked_up_only(model, name)}
    for name, table in narrow.items():
        new.add_table(_stored(name), table.stored)
        if name not in looked_up:
            _widen(new, _stored(name), table, name)
    for node in model.graph.node:
        name = node.input[0] if node.input else ""
        if name in looked_up:
            rows = f"{node.output[0]}/stored"
            new.add("Gather", [_stored(name), node.input[1]], rows, **attributes_of(node))
            _widen(new, rows, narrow[name], node.output[0])
        else:
            new.keep(node)
    return new.finished()


def _stored(name: str) -> str:
    return f"{name}/stored"


def _widen(new: Rewriting, source: str, table: Narrow, output: str) -> None:
    kind = helper.np_dtype_to_tensor_dtype(table.dtype)
    if table.offset:
        offset = new.add_table(f"{output}/offset", np.array(table.offset, dtype=table.dtype))
        new.add("Cast", [source], f"{output}/shifted", to=kind)
        new.add("Add", [f"{output}/shifted", offset], output)
    else:
        new.add("Cast", [source], output, to=kind)


def _without_unread(nodes: list[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    read, kept = set(outputs), []
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(node.input)
            kept.append(node)
    return kept[::-1]
