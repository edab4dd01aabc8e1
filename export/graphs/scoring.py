"""Models that score by item embeddings, taken apart: an encoder that makes a query, and what it is held against.

    score(item) = query . row of the item + bias of the item,    query = encoder(rows of the history, history)

With `popular` the answer is log(softmax(score) + popular). So the encoder does not grow with the
catalog, and the same one serves the exact head here and those of `export.heads`.
"""

from dataclasses import dataclass

import numpy as np
import onnx

from export.graphs.counting import MEAN
from export.graphs.ials import ials_encoder, ials_weights
from export.graphs.onnx_text import piece
from export.graphs.outline import Outline, outline
from export.graphs.torch_encoder import torch_encoder
from models.rungs.ials import Ials
from models.rungs.item_tables import CodedTable, FullTable
from models.rungs.mean_of_items import MeanOfItems
from models.rungs.sasrec import Sasrec

LOOKUP = """
lookup (int32[batch, MAX_HISTORY] history) => (float[batch, MAX_HISTORY, DIMENSION] rows)
{ rows = Gather <axis = 0> (item_table, history) }
"""

_CODE = """
coded () => (float[rows, width] part_NUMBER)
{
  codes_NUMBER = Gather <axis = 0> (codes, number_NUMBER)
  places_NUMBER = Cast <to = 6> (codes_NUMBER)
  own_NUMBER = Gather <axis = 0> (centroids, number_NUMBER)
  part_NUMBER = Gather <axis = 0> (own_NUMBER, places_NUMBER)
}
"""

_TABLE_OF_CODES = """
table (PARTS_IN) => (float[rows, DIMENSION] item_table)
{ item_table = Concat <axis = 1> (PARTS) }
"""

_PLAIN = """
exact (float[batch, DIMENSION] query) => (float[batch, columns] all_scores)
{ all_scores = Gemm <transB = 1> (query, item_table, item_bias) }
"""

_MIXED = """
exact (float[batch, DIMENSION] query) => (float[batch, columns] all_scores)
{
  plain = Gemm <transB = 1> (query, item_table, item_bias)
  logs = LogSoftmax <axis = 1> (plain)
  probabilities = Exp (logs)
  either = Add (probabilities, popular)
  all_scores = Log (either)
}
"""


@dataclass(frozen=True)
class Scoring:
    """encoder      rows float32 [batch, max_history, d], history int32 [batch, max_history] -> query [batch, d]
    rows         float32 [items + 1, d]; the last one is looked up for PADDING
    codes        of a compressed table, else None: uint8 [codebooks, items + 1] and centroids float32
                 [codebooks, centroids, d / codebooks], of which the rows are made
    bias         float32 [items + 1], or None where there is none
    popular      float32 [items + 1], all above 0, or None where nothing is mixed in
    """

    encoder: onnx.ModelProto
    rows: np.ndarray
    bias: np.ndarray | None
    popular: np.ndarray | None
    max_history: int
    codes: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def items(self) -> int:
        return len(self.rows) - 1

    @property
    def dimension(self) -> int:
        return self.rows.shape[1]

    def text(self, text: str) -> str:
        """ONNX text with the sizes put in."""
        return text.replace("MAX_HISTORY", str(self.max_history)).replace("DIMENSION", str(self.dimension))


def scoring_of(model: object, max_history: int, opset: int) -> Scoring | None:
    """None for a model without item embeddings."""
    if isinstance(model, Sasrec):
        rows, bias = model.item_table.rows().detach().numpy(), model.item_bias.detach().numpy()
        popular = None if model.log_popular is None else model.log_popular.exp().detach().numpy()
        encoder = torch_encoder(model, max_history, opset)
        return Scoring(encoder, rows, bias, popular, max_history, _codes_of(model.item_table))
    if isinstance(model, Ials):
        encoder = piece(ials_encoder(max_history), opset, **ials_weights(model, max_history))
        bias = np.append(np.float32(model.share) * model.popularity, 0).astype(np.float32)
        return Scoring(encoder, model.item_table, bias, None, max_history)
    if isinstance(model, MeanOfItems):
        encoder = piece(MEAN.replace("MAX_HISTORY", str(max_history)), opset)
        return Scoring(encoder, model.item_table, None, None, max_history)
    return None


def exact_body(scoring: Scoring, opset: int) -> Outline:
    """History -> the score of every item and of PADDING: what the shared top-k follows."""
    lists = {"item_bias": scoring.bias, "popular": scoring.popular}
    tables = {name: found for name, found in lists.items() if found is not None}
    if scoring.codes is None:
        table, tables["item_table"] = [], scoring.rows
    else:
        table, (tables["codes"], tables["centroids"]) = _table_of_codes(scoring, opset), scoring.codes
    how = _MIXED if scoring.popular is not None else _PLAIN
    how = how if scoring.bias is not None else how.replace(", item_bias", "")
    lookup, scores = (piece(scoring.text(text), opset) for text in (LOOKUP, how))
    return outline(joined([*table, lookup, scoring.encoder, scores]), tables)


def _codes_of(table: FullTable | CodedTable) -> tuple[np.ndarray, np.ndarray] | None:
    if isinstance(table, FullTable):
        return None
    return table.codes.numpy().astype(np.uint8).T.copy(), table.centroids.detach().numpy()


def _table_of_codes(scoring: Scoring, opset: int) -> list[onnx.ModelProto]:
    """The item table from its codes; the runtime makes it once, when the graph is loaded."""
    numbers = range(len(scoring.codes[0]))
    parts = [
        piece(_CODE.replace("NUMBER", str(n)), opset, **{f"number_{n}": np.array(n, dtype=np.int64)})
        for n in numbers
    ]
    names = [f"part_{n}" for n in numbers]
    inputs = ", ".join(f"float[rows, width] {name}" for name in names)
    text = _TABLE_OF_CODES.replace("PARTS_IN", inputs).replace("PARTS", ", ".join(names))
    return [*parts, piece(scoring.text(text), opset)]


def joined(parts: list[onnx.ModelProto]) -> onnx.ModelProto:
    """One graph of several, of which each reads what those before it give. Its inputs are those that none of
    them gives, its outputs those of the last. Names inside must differ already."""
    whole = onnx.ModelProto()
    whole.CopyFrom(parts[0])
    graph = whole.graph
    for part in parts[1:]:
        graph.node.extend(part.graph.node)
        graph.initializer.extend(part.graph.initializer)
    given = {name for node in graph.node for name in node.output}
    inputs = {value.name: value for part in parts for value in part.graph.input if value.name not in given}
    del graph.input[:], graph.output[:], graph.value_info[:], whole.opset_import[:]
    opsets = {opset.domain: opset for part in parts for opset in part.opset_import}
    whole.opset_import.extend(opsets.values())
    graph.input.extend(inputs.values())
    graph.output.extend(parts[-1].graph.output)
    return whole
