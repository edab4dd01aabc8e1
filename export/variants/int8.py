"""Variants int8-dynamic and int8-static: tables of 8-bit integers with a scale per row or output channel.

A table that is looked up (item embeddings, similarities) has a scale per row. A product with a table

    activations [.., in] @ table [in, out]

becomes one of integers: the activations are rounded to 127 steps, by a scale of each row's own (dynamic) or
one that real histories fitted in advance (static); `MatMulInteger` sums exactly, and the scales turn the sums
back. So no row's answer depends on what shares its batch, which `DynamicQuantizeLinear` with its one scale
for the whole batch would not hold.

See `export.variants.activations` for the steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from export.variants.activations import Quantised, quantise_by_range, quantise_by_row
from export.variants.calibration import Range
from export.variants.rewriting import (
    LEAST_NUMBERS,
    CannotBeMade,
    Rewriting,
    attributes_of,
    is_lookup,
    narrow_integers,
    readers_of,
    store_narrow,
    tables_of,
)

_LIMIT, _UNSIGNED_LIMIT = 127, 255


@dataclass(frozen=True)
class _Product:
    """activation @ table + bias; `by_row` says that a row of the table is an output, not an input."""

    activation: str
    table: str
    by_row: bool
    bias: str | None


def to_int8_dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Scales of activations are found anew for each row. Raises `CannotBeMade`."""
    tables, products = _tables_and_products(model)
    if not tables:
        raise CannotBeMade(
            f"the graph looks up no table of at least {LEAST_NUMBERS} weights and multiplies by none: what it "
            "holds besides is one number per item, and 255 steps would merge their ranks"
        )
    return _rewrite(model, tables, products, quantise_by_row)


def to_int8_static(
    model: onnx.ModelProto, ranges_of: Callable[[onnx.ModelProto, list[str]], dict[str, Range]]
) -> onnx.ModelProto:
    """Scales of activations are fixed: `ranges_of` says how far each tensor reaches. Raises `CannotBeMade`."""
    tables, products = _tables_and_products(model)
    if not products:
        raise CannotBeMade(
            "the graph multiplies no activations by weights: there is nothing that real histories could calibrate"
        )
    ranges = ranges_of(model, sorted({product.activation for product in products.values()}))

    def quantise(new: Rewriting, name: str) -> Quantised:
        return quantise_by_range(new, name, ranges[name])

    return _rewrite(model, tables, products, quantise)


def _tables_and_products(model: onnx.ModelProto) -> tuple[dict[str, np.ndarray], dict[str, _Product]]:
    """What can be 8-bit: tables that are read by lookups and products only, the products by their output."""
    tables = {n: t for n, t in tables_of(model).items() if t.dtype == np.float32 and t.ndim >= 2}
    transposed = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "Transpose" and node.input[0] in tables and attributes_of(node).get("perm") == [1, 0]
    }
    found = {node.output[0]: _product_of(node, tables, transposed) for node in model.graph.node}
    products = {output: product for output, product in found.items() if product}
    fit = {name: table for name, table in tables.items() if _is_fit(model, name, products, transposed)}
    return fit, {output: product for output, product in products.items() if product.table in fit}


def _product_of(node: onnx.NodeProto, tables: dict, transposed: dict[str, onnx.NodeProto]) -> _Product | None:
    if node.op_type not in ("MatMul", "Gemm") or node.input[0] in tables:
        return None
    attributes, second = attributes_of(node), node.input[1]
    turned = second in transposed
    table = transposed[second].input[0] if turned else second
    plain = attributes.get("alpha", 1) == attributes.get("beta", 1) == 1 and not attributes.get("transA", 0)
    if table not in tables or tables[table].ndim != 2 or not plain:
        return None
    bias = node.input[2] if len(node.input) > 2 else None
    return _Product(node.input[0], table, bool(attributes.get("transB", 0)) != turned, bias)


def _is_fit(model: onnx.ModelProto, table: str, products: dict[str, _Product], transposed: dict) -> bool:
    """Read in ways that one set of scales serves: rows looked up, rows or columns as outputs."""
    by_row = set()
    for node in readers_of(model, table):
        if is_lookup(node, table) and attributes_of(node).get("axis", 0) == 0:
            by_row.add(True)
            continue
        ends = readers_of(model, node.output[0]) if node.output[0] in transposed else [node]
        for end in ends:
            product = products.get(end.output[0])
            by_row.add(product.by_row if product and product.table == table else None)
    return len(by_row) == 1 and None not in by_row


def _rewrite(
    model: onnx.ModelProto,
    tables: dict[str, np.ndarray],
    products: dict[str, _Product],
    quantise: Callable[[Rewriting, str], Quantised],
) -> onnx.ModelProto:
    new = Rewriting(model)
    multiplied = {product.table: product.by_row for product in products.values()}
    stored = {}
    for name, table in tables.items():
        stored[name] = _store(new, name, table, multiplied.get(name))
    quantised: dict[str, Quantised] = {}
    for node in model.graph.node:
        product = products.get(node.output[0])
        if product:
            if product.activation not in quantised:
                quantised[product.activation] = quantise(new, product.activation)
            scales = stored[product.table]
            _multiply(new, product, quantised[product.activation], scales, node.output[0])
        elif node.input and node.input[0] in tables and node.op_type == "Gather":
            _look_up(new, node)
        else:
            new.keep(node)
    small = new.finished()
    return store_narrow(small, narrow_integers(tables_of(small)))


def _store(new: Rewriting, name: str, table: np.ndarray, multiplied_by_row: bool | None) -> np.ndarray:
    """Put the 8-bit table and its scales into the graph; return the scales, one per row or output column.

    Unsigned where nothing is negative and nothing multiplies it.
    """
    axes = (0,) if multiplied_by_row is False else tuple(range(1, table.ndim))
    unsigned = multiplied_by_row is None and table.min() >= 0
    limit, dtype = (_UNSIGNED_LIMIT, np.uint8) if unsigned else (_LIMIT, np.int8)
    scales = np.abs(table).max(axis=axes, keepdims=True) / np.float32(limit)
    scales[scales == 0] = 1
    integers = np.rint(table / scales).clip(-limit, limit).astype(dtype)
    new.add_table(f"{name}/int8", integers)
    new.add_table(f"{name}/scale", scales)
    if multiplied_by_row:
        new.add("Transpose", [f"{name}/int8"], f"{name}/int8/columns", perm=[1, 0])
    return scales


def _look_up(new: Rewriting, node: onnx.NodeProto) -> None:
    table, indices, output = node.input[0], node.input[1], node.output[0]
    rows = new.add("Gather", [f"{table}/int8", indices], f"{output}/int8", axis=0)
    scale = new.add("Gather", [f"{table}/scale", indices], f"{output}/scale", axis=0)
    wide = new.add("Cast", [rows], f"{output}/steps", to=TensorProto.FLOAT)
    new.add("Mul", [wide, scale], output)


def _multiply(new: Rewriting, product: _Product, by: Quantised, scales: np.ndarray, output: str) -> None:
    integers = f"{product.table}/int8/columns" if product.by_row else f"{product.table}/int8"
    sums = new.add("MatMulInteger", [by.integers, integers, by.zero], f"{output}/sums")
    result = new.add("Cast", [sums], f"{output}/steps", to=TensorProto.FLOAT)
    by_output = scales.reshape(-1)
    ends = [] if product.bias is None else [("Add", product.bias)]
    if isinstance(by.scale, str):
        ends.insert(0, ("Mul", by.scale))
    else:
        by_output = by_output * np.float32(by.scale)
    ends.insert(0, ("Mul", new.add_table(f"{output}/scale", by_output)))
    for number, (op, operand) in enumerate(ends, start=1):
        result = new.add(op, [result, operand], output if number == len(ends) else f"{output}/scaled{number}")
