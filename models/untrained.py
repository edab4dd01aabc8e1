"""Models of a trained one's shape and cost with random weights, for benchmarks of any catalog size."""

import numpy as np
import torch

from contracts.encoding import PADDING
from contracts.faults import UsageFault
from contracts.rung_sections import Sasrec as Choices
from contracts.sections import Settings
from models.ladder import Model
from models.learning import network_choices
from models.rungs.blend import Blend
from models.rungs.ials import Ials
from models.rungs.item_tables import CodedTable, FullTable
from models.rungs.item_to_item import ItemToItem
from models.rungs.mean_of_items import MeanOfItems
from models.rungs.popularity import Popularity
from models.rungs.sasrec import Sasrec
from models.rungs.sasrec_training import new_sasrec
from models.rungs.vmis_knn import VmisKnn

_SMALL = float(np.float32(1e-6))
_POPULAR_SHARE = 0.3
_OF_IALS = 0.02
"""Of each number of a row: rows as short as those learned from some thousand items. Of longer ones, a history that
holds the same few items again and again is a system that ten steps do not solve, and every rounding shows."""


def untrained(name: str, items: int, settings: Settings, seed: int) -> Model | MeanOfItems:
    """The model that `name` says, one of `UNTRAINED`. Raises `UsageFault` for another."""
    if name not in _MAKERS:
        raise UsageFault(f"there is no untrained {name!r}; expected one of {', '.join(UNTRAINED)}.")
    return _MAKERS[name](items, settings, seed)


def _popular(items: int) -> np.ndarray:
    return (1 / np.arange(1, items + 1)).astype(np.float32)


def _item_to_item(items: int, settings: Settings, seed: int) -> ItemToItem:
    """With the middle one of the numbers of neighbours that training chooses from."""
    random, counts = np.random.default_rng(seed), sorted(settings.item_to_item.neighbours)
    near = random.integers(items, size=(items, counts[len(counts) // 2]), dtype=np.int32)
    similarities = np.sort(random.random(near.shape, dtype=np.float32))[:, ::-1].copy()
    return ItemToItem(near, similarities, 0.5, _popular(items), _SMALL)


def _vmis_knn(items: int, settings: Settings, seed: int) -> VmisKnn:
    random, choices = np.random.default_rng(seed), settings.vmis_knn
    sessions = random.integers(items, size=(choices.sessions, choices.session_length), dtype=np.int32)
    per_item = min(choices.sessions_per_item, -(-sessions.size // items))
    postings = random.integers(choices.sessions, size=(items, per_item), dtype=np.int32)
    postings[:, 1:][random.random((items, per_item - 1)) < 0.5] = PADDING
    tables = postings, sessions, np.ones(items, dtype=np.float32)
    neighbours = sorted(choices.neighbours)[len(choices.neighbours) // 2]
    return VmisKnn(tables, _popular(items), choices.newest, float(np.float32(0.6)), neighbours, 1.0)


def _ials(items: int, settings: Settings, seed: int) -> Ials:
    table = np.random.default_rng(seed).normal(scale=_OF_IALS, size=(items + 1, settings.ials.factors))
    table[items] = 0
    return Ials(table.astype(np.float32), 30.0, float(np.float32(0.85)), _popular(items), _SMALL)


def _mean(items: int, settings: Settings, seed: int) -> MeanOfItems:
    random = np.random.default_rng(seed)
    return MeanOfItems(random.standard_normal((items + 1, settings.sasrec.dimension), dtype=np.float32))


def _sasrec(items: int, settings: Settings, seed: int) -> Sasrec:
    return _network(FullTable, items, settings, network_choices("sasrec", settings), seed)


def _sasrec_all_positions(items: int, settings: Settings, seed: int) -> Sasrec:
    """As a transformer is exported when nobody thinks of it; tells what computing one position saves."""
    network = _sasrec(items, settings, seed)
    network.last_only = False
    return network


def _student(items: int, settings: Settings, seed: int) -> Sasrec:
    return _network(FullTable, items, settings, network_choices("student", settings), seed)


def _sasrec_jpq(items: int, settings: Settings, seed: int) -> Sasrec:
    def table(items: int, dimension: int) -> CodedTable:
        random, (codebooks, count) = np.random.default_rng(seed), (settings.jpq.codebooks, settings.jpq.centroids)
        codes = random.integers(count, size=(items + 1, codebooks), dtype=np.uint8)
        return CodedTable(codes, random.normal(scale=0.02, size=(codebooks, count, dimension // codebooks)))

    return _network(table, items, settings, network_choices("sasrec", settings), seed)


def _network(make_table, items: int, settings: Settings, choices: Choices, seed: int) -> Sasrec:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = new_sasrec(make_table(items, choices.dimension), items, settings.training.max_history, choices)
        torch.nn.init.normal_(network.item_bias)  # zeros would be left out of the graph
    network.mix_in_popularity(_popular(items), _POPULAR_SHARE)
    return network.eval()


def _blend(items: int, settings: Settings, seed: int) -> Blend:
    return Blend(_sasrec(items, settings, seed), _item_to_item(items, settings, seed), 1.0)


_MAKERS = {
    "popularity": lambda items, settings, seed: Popularity(_popular(items)),
    "item-to-item": _item_to_item,
    "vmis-knn": _vmis_knn,
    "ials": _ials,
    "sasrec": _sasrec,
    "sasrec:jpq": _sasrec_jpq,
    "blend": _blend,
    "student": _student,
    "mean": _mean,
    "sasrec-all-positions": _sasrec_all_positions,
}

UNTRAINED = tuple(_MAKERS)
"""What `export --untrained` can make. Ease is item-to-item with other numbers."""
