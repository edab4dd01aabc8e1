"""The graph inside every artifact: encoded history -> top-k, the same names and types for every rung.

    history   int32   [batch, max_history]  item indices, newest last, PADDING on the left
    excluded  int32   [batch, m]            item indices never to answer, PADDING where there are fewer
    k         int64   [1]                   how many items; the catalog's size at most
    items     int64   [batch, k]            item indices, best first; of equals the lower index first
    scores    float32 [batch, k]            -inf marks an item that was excluded: there was no other left

Excluding happens inside the graph, before the top-k, so that an answer is never short.
"""

from contracts.artifact import Tensor

HISTORY, EXCLUDED, K, ITEMS, SCORES = "history", "excluded", "k", "items", "scores"


def graph_inputs(max_history: int) -> list[Tensor]:
    return [
        Tensor(HISTORY, "int32", ["batch", max_history]),
        Tensor(EXCLUDED, "int32", ["batch", "m"]),
        Tensor(K, "int64", [1]),
    ]


def graph_outputs() -> list[Tensor]:
    return [Tensor(ITEMS, "int64", ["batch", "k"]), Tensor(SCORES, "float32", ["batch", "k"])]
