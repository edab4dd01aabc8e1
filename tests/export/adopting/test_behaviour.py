"""A graph is asked before it is taken in; what would go wrong in service is refused."""

import numpy as np
import pytest

from contracts.faults import UsageFault, VerdictIsNo
from export.adopting.behaviour import check_behaviour
from tests.export.adopting.conftest import (
    FORMS,
    ITEMS,
    LENGTH,
    LONG,
    SOME,
    Drawing,
    K,
    scores_all,
    table_of,
)  # fmt: skip

HISTORIES = [[0, 1], [2], [3, 4, 5], [6, 5, 4, 3]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", ["length", LENGTH])
def test_a_sound_graph_of_any_form_passes(own_graph, form, length):
    drawing = form()
    drawing.history = (LONG, ["batch", length])
    check_behaviour(own_graph(drawing), HISTORIES, seed=1)


def with_nodes(*nodes, **constants) -> Drawing:
    """Scores every item; `nodes` lead from `summed` to `scores`."""
    return Drawing(nodes=list(nodes), constants=constants)


def answering(*nodes, **constants) -> Drawing:
    """Answers k items; `nodes` lead from `best` and `found` to `scores` and `items`."""
    return Drawing(
        outputs=SOME, inputs=K, nodes=[("TopK", ["summed", "k"], ["best", "found"]), *nodes], constants=constants
    )


CASES = {
    "no row for padding": (
        Drawing(table=table_of(ITEMS, padding_row=False)),
        "padded from .*Index -1 is the last row of a table",
    ),
    "no row for padding, of fixed length": (
        Drawing(table=table_of(ITEMS, padding_row=False), history=(LONG, ["batch", LENGTH])),
        "takes padding for the item 7",
    ),
    "padding made 0, of fixed length": (
        Drawing(
            history=(LONG, ["batch", LENGTH]),
            constants={"nought": np.array(0), "axis": np.array([1])},
            nodes=[
                ("Max", ["history", "nought"], ["no_padding"]),
                ("Gather", ["table", "no_padding"], ["their_rows"]),
                ("ReduceSum", ["their_rows", "axis"], ["scores"], {"keepdims": 0}),
            ],
        ),
        "takes padding for the item 0",
    ),
    "normalised over the batch": (
        with_nodes(
            ("ReduceMax", ["summed", "rows_axis"], ["most"]), ("Div", ["summed", "most"], ["scores"]),
            rows_axis=np.array([0]),
        ),
        "asked alone and not in a batch.*no figure may be taken over the whole batch",
    ),
    "dropout left on": (
        with_nodes(("RandomUniformLike", ["summed"], ["noise"]), ("Add", ["summed", "noise"], ["scores"])),
        "asked the same again.*Switch dropout and sampling off",
    ),
    "division by nothing": (
        with_nodes(("Sub", ["summed", "summed"], ["zero"]), ("Div", ["zero", "zero"], ["scores"])),
        "the score nan.*division by nothing",
    ),
    "a column for padding": (
        Drawing(table=np.pad(table_of(ITEMS), ((0, 0), (0, 1)))),
        "scores 9 items, the catalog has 8.*--catalog",
    ),
    "indices that begin at 1": (
        answering(("Identity", ["best"], ["scores"]), ("Add", ["found", "ones"], ["items"]), ones=np.array([1])),
        "answers item 8, expected indices from 0 to 7",
    ),
    "an item twice": (
        answering(("Identity", ["best"], ["scores"]), ("Div", ["found", "twos"], ["items"]), twos=np.array([2])),
        "answers an item twice",
    ),
    "the worst first": (
        answering(("Neg", ["best"], ["scores"]), ("Identity", ["found"], ["items"])),
        "scores rise, expected the best item first",
    ),
    "one row for the whole batch": (
        with_nodes(("ReduceSum", ["summed", "rows_axis"], ["scores"]), rows_axis=np.array([0])),
        "expected one row for each",
    ),
    "k is not heeded": (
        Drawing(
            outputs=SOME, inputs=K, constants={"three": np.array([3])},
            nodes=[("TopK", ["summed", "three"], ["scores", "items"])],
        ),
        r"asked for k = 1 items the graph answers 3",
    ),
    "a table that is too short": (
        Drawing(table=table_of(ITEMS)[:4]),
        "the graph fails when it is asked .*item indices 0 to 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_would_go_wrong_in_service_is_refused(own_graph, case):
    drawing, complaint = CASES[case]
    with pytest.raises(VerdictIsNo, match=f"(?i){complaint}"):
        check_behaviour(own_graph(drawing), HISTORIES, seed=1)


def test_a_graph_that_ignores_padding_by_looking_only_at_the_newest_item_passes(own_graph):
    drawing = Drawing(table=table_of(ITEMS, padding_row=False), history=(LONG, ["batch", LENGTH]))
    drawing.constants = {"last": np.array([-1]), "axis": np.array([1])}
    drawing.nodes = [
        ("Gather", ["history", "last"], ["newest"], {"axis": 1}),
        ("Gather", ["table", "newest"], ["its_row"]),
        ("Squeeze", ["its_row", "axis"], ["scores"]),
    ]
    check_behaviour(own_graph(drawing), HISTORIES, seed=1)


def test_an_operator_that_nobody_knows_is_refused(own_graph):
    drawing = Drawing(nodes=[("Identity", ["summed"], ["scores"]), ("Magic", ["summed"], ["more"])])
    with pytest.raises(UsageFault, match=r"onnxruntime .* cannot open the graph"):
        own_graph(drawing)


def test_what_is_never_to_be_answered_may_score_minus_infinity(own_graph):
    drawing = scores_all()
    drawing.table = drawing.table.copy()
    drawing.table[:, 3] = -np.inf
    check_behaviour(own_graph(drawing), HISTORIES, seed=1)


def test_half_and_double_precision_are_taken_as_they_are(own_graph):
    for kind in (10, 11):
        drawing = Drawing(
            nodes=[("Cast", ["summed"], ["scores"], {"to": kind})], outputs={"scores": (kind, ["b", "i"])}
        )
        check_behaviour(own_graph(drawing), HISTORIES, seed=1)
