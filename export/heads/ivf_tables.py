"""What the graph of `export.heads.ivf` reads: items by their place, block after block."""

from dataclasses import dataclass

import numpy as np

from export.graphs.scoring import Scoring
from export.heads.blocks import Blocks

_ZERO, _HIGHEST = 128, 127
DIGIT = 63
"""The largest digit of a query."""


@dataclass(frozen=True)
class Probing:
    """How many blocks are looked at besides the `front` ones that always are (more than there are: all), and how
    much a block's score rises with its spread."""

    probed: int
    spread: float
    front: int = 0


def ivf_tables(scoring: Scoring, blocks: Blocks, probing: Probing) -> dict[str, np.ndarray]:
    """Places from `items` on are padding: no row there, a bias of -inf, and the index of PADDING."""
    items, width, order = scoring.items, blocks.width, blocks.order
    count = items // width + 1  # at least one place is left for PADDING
    places = count * width
    place_of_item = np.full(items + 1, items, dtype=np.int32)
    place_of_item[order] = np.arange(items, dtype=np.int32)
    centroids = np.zeros((count, scoring.dimension), dtype=np.float32)
    centroid_bias = np.full(count, -1e30, dtype=np.float32)
    centroids[: blocks.count] = blocks.centroids[:, : scoring.dimension]
    centroid_bias[: blocks.count] = blocks.centroids[:, -1] + probing.spread * blocks.spreads
    by_place = np.append(order, np.full(places - items, items))
    tables = {
        **(
            _rows_by_place(scoring, order, count, width)
            if scoring.codes is None
            else _codes(scoring, by_place, count)
        ),
        "block_bias": _spread(scoring.bias, by_place, -np.inf).reshape(count, width),
        "place_of_item": place_of_item,
        "item_of_place": by_place.astype(np.int32),
        "centroids": centroids,
        "centroid_bias": centroid_bias,
    }
    if scoring.popular is not None:
        sizes = np.diff(np.append(np.arange(0, items, width), items))
        mass = np.zeros(count, dtype=np.float32)
        of_spread = blocks.spreads**2 / 2 - probing.spread * blocks.spreads
        mass[: blocks.count] = of_spread + np.log(sizes)
        tables["block_mass"] = mass
        tables["block_popular"] = _spread(scoring.popular, by_place, 0.0).reshape(count, width)
    return tables


def _rows_by_place(scoring: Scoring, order: np.ndarray, count: int, width: int) -> dict[str, np.ndarray]:
    """Rows as bytes, a scale each; some at a time."""
    scales = np.zeros(count * width, dtype=np.float32)
    stored = np.full((count * width, scoring.dimension), _ZERO, dtype=np.uint8)
    for first in range(0, len(order), 1 << 17):
        own = scoring.rows[order[first : first + (1 << 17)]]
        steps = np.maximum(np.abs(own).max(axis=1), 1e-30) / np.float32(_HIGHEST)
        scales[first : first + len(own)] = steps
        stored[first : first + len(own)] = np.rint(own / steps[:, None]) + _ZERO
    return {
        "block_rows": stored.reshape(count, width, -1),
        "block_scales": scales.reshape(count, width),
        "digit_weights": np.array([[1], [1 / (2 * DIGIT)]], dtype=np.float32),
    }


def _codes(scoring: Scoring, by_place: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """The codes of a compressed table as they are, and its centroids for looking up and for scoring."""
    codes, centroids = scoring.codes
    codebooks, size, part = centroids.shape
    return {
        "block_codes": codes[:, by_place].T.reshape(count, -1, codebooks).copy(),
        "centroid_rows": centroids.reshape(codebooks * size, part),
        "centroid_columns": centroids.transpose(0, 2, 1).copy(),
        "first_of_codebook": np.arange(codebooks, dtype=np.int32) * size,
    }


def _spread(values: np.ndarray | None, by_place: np.ndarray, padding: float) -> np.ndarray:
    """float32, by place; the last of `values` is PADDING's."""
    padded = np.zeros(by_place.max() + 1, dtype=np.float32) if values is None else values.astype(np.float32)
    padded = np.append(padded[:-1], np.float32(padding)).astype(np.float32)
    return padded[by_place]
