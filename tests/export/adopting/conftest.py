"""Graphs as somebody may bring them along: every item votes for the ones after it, as a table says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.adopting.own_graph import OwnGraph
from export.adopting.signature import signature_of

ITEMS, LENGTH = 8, 4
INT, LONG, FLOAT = TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT


def table_of(items: int, *, padding_row: bool = True) -> np.ndarray:
    """`[items + 1, items]`: after r comes r + 1 with 1/2, r + 2 with 1/4, and so on; padding votes for none."""
    steps = (np.arange(items)[None, :] - np.arange(items)[:, None] - 1) % items
    table = (0.5 ** (1 + steps)).astype(np.float32)
    return np.vstack([table, np.zeros((1, items), np.float32)]) if padding_row else table


@dataclass
class Drawing:
    """What `draw` makes of it by default scores every item. `nodes` come between the table and `scores`."""

    table: np.ndarray = field(default_factory=lambda: table_of(ITEMS))
    history: tuple[int, list] = (LONG, ["batch", "length"])
    inputs: dict[str, tuple[int, list]] = field(default_factory=dict)
    outputs: dict[str, tuple[int, list]] = field(default_factory=lambda: {"scores": (FLOAT, ["batch", "items"])})
    nodes: list[tuple] = field(default_factory=lambda: [("Identity", ["summed"], ["scores"])])
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    opset: int = 20


def draw(drawing: Drawing) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["table", "history"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "one"], ["summed"], keepdims=0),
        *(helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in drawing.nodes),
    ]
    constants = {"table": drawing.table, "one": np.array([1])} | drawing.constants
    graph = helper.make_graph(
        nodes,
        "brought-along",
        [_described(name, of) for name, of in {"history": drawing.history, **drawing.inputs}.items()],
        [_described(name, of) for name, of in drawing.outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", drawing.opset)], ir_version=10)


def _described(name: str, of: tuple[int, list]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, *of)


SOME = {"items": (LONG, ["batch", "answers"]), "scores": (FLOAT, ["batch", "answers"])}
K = {"k": (LONG, [1])}
EXCLUDED = {"excluded": (LONG, ["batch", "m"])}
BY_K = [("TopK", ["summed", "k"], ["scores", "items"])]


def scores_all(items: int = ITEMS) -> Drawing:
    return Drawing(table=table_of(items))


def answers_three(items: int = ITEMS) -> Drawing:
    nodes = [("TopK", ["summed", "three"], ["scores", "items"])]
    return Drawing(table=table_of(items), outputs=SOME, nodes=nodes, constants={"three": np.array([3])})


def answers_k(items: int = ITEMS) -> Drawing:
    return Drawing(table=table_of(items), outputs=SOME, inputs=K, nodes=BY_K)


def answers_k_without_excluded(items: int = ITEMS) -> Drawing:
    """Padding among the excluded falls on a column of its own."""
    nodes = [
        ("Shape", ["excluded"], ["form"]),
        ("Expand", ["lowest", "form"], ["never"]),
        ("Pad", ["summed", "one_column", "lowest"], ["with_padding"]),
        ("ScatterElements", ["with_padding", "excluded", "never"], ["allowed"], {"axis": 1}),
        ("Slice", ["allowed", "from_start", "to_end", "one"], ["of_items"]),
        ("TopK", ["of_items", "k"], ["scores", "items"]),
    ]
    constants = {
        "lowest": np.array(-np.inf, np.float32), "one_column": np.array([0, 0, 0, 1]),
        "from_start": np.array([0]), "to_end": np.array([-1]),
    }  # fmt: skip
    return Drawing(table=table_of(items), outputs=SOME, inputs=K | EXCLUDED, nodes=nodes, constants=constants)


FORMS = (scores_all, answers_three, answers_k, answers_k_without_excluded)


@pytest.fixture
def own_graph() -> Callable[..., OwnGraph]:
    """`own_graph(drawing)`: opened, over a catalog of `items`."""

    def open_it(drawing: Drawing, items: int = ITEMS) -> OwnGraph:
        model = draw(drawing)
        signature = signature_of(model)
        return OwnGraph(model, signature, items, signature.length or LENGTH)

    return open_it


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """`saved(drawing)`: the path of a file that holds it."""

    def save(drawing: Drawing, **options: object) -> Path:
        path = tmp_path / "model.onnx"
        onnx.save_model(draw(drawing), path, **options)
        return path

    return save
