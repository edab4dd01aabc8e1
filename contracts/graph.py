"""The graph inside every artifact: encoded history -> top-k, the same names and types for every rung.

    history   int32   [batch, max_history]  item indices, newest last, PADDING on the left
    excluded  int32   [batch, m]            item indices never to answer, PADDING where there are fewer
    k         int64   [1]                   how many items; the catalog's size at most
    items     int64   [batch, k]            item indices, best first; of equals the lower index first
    scores    float32 [batch, k]            -inf marks an item that was excluded: there was no other left

Excluding happens inside the graph, before the top-k, so that an answer is never short.

Where an index finds candidates first (`Manifest.search`), the same is done by two graphs with the index between:

    query.onnx   history -> query float32 [batch, d]
    the index    query -> found int64 [batch, n]: item indices, the catalog's size where there are fewer
    model.onnx   query, found, excluded, k -> items, scores
"""

from contracts.artifact import Tensor

HISTORY, EXCLUDED, K, ITEMS, SCORES = "history", "excluded", "k", "items", "scores"
QUERY, FOUND = "query", "found"


def graph_inputs(max_history: int) -> list[Tensor]:
    return [
        Tensor(HISTORY, "int32", ["batch", max_history]),
        Tensor(EXCLUDED, "int32", ["batch", "m"]),
        Tensor(K, "int64", [1]),
    ]


def graph_outputs() -> list[Tensor]:
    return [Tensor(ITEMS, "int64", ["batch", "k"]), Tensor(SCORES, "float32", ["batch", "k"])]


def rescoring_inputs(dimension: int) -> list[Tensor]:
    """Of a graph that an index precedes."""
    return [
        *query_outputs(dimension),
        Tensor(FOUND, "int64", ["batch", "n"]),
        *graph_inputs(0)[1:],
    ]


def query_outputs(dimension: int) -> list[Tensor]:
    return [Tensor(QUERY, "float32", ["batch", dimension])]
