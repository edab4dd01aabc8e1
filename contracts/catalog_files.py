"""The catalog as files of an artifact (see `contracts.artifact`): written in bulk, read or mapped.

A small catalog is read into a list and a dict: naming an item is what every answer does, ten to twenty times. Of
a large one these would cost every worker more than most models do; it is mapped, and costs all workers together
its files.
"""

from pathlib import Path

import numpy as np

from contracts.encoding import Catalog, indices_by_number
from contracts.faults import ArtifactFault
from contracts.id_table import IdTable, write_id_table
from contracts.mapped_files import REMEDY, MappedTexts, map_array, write_texts

IDS, ID_ENDS, ID_TABLE = "item-ids.txt", "item-id-ends.npy", "item-id-table.npy"
NUMBERS, INDICES = "item-numbers.npy", "number-indices.npy"
TITLES, TITLE_ENDS = "titles.txt", "title-ends.npy"
CATALOG_FILES = IDS, ID_ENDS, ID_TABLE, NUMBERS, INDICES
"""What every catalog has. Titles are there where the log had some."""

READ_UP_TO = 100_000
"""Items of a catalog that is read. So many take about 15 MB of each worker; see docs/decisions."""


def write_catalog(folder: Path, catalog: Catalog) -> None:
    write_texts(folder / IDS, folder / ID_ENDS, catalog.item_ids)
    write_id_table(folder / ID_TABLE, catalog.item_ids)
    np.save(folder / NUMBERS, catalog.item_numbers, allow_pickle=False)
    np.save(folder / INDICES, catalog.index_of_number, allow_pickle=False)
    if len(catalog.titles):
        write_texts(folder / TITLES, folder / TITLE_ENDS, catalog.titles)


def open_catalog(folder: Path, items: int, *, has_titles: bool, read_up_to: int = READ_UP_TO) -> Catalog:
    """The catalog of `items` items that `write_catalog` wrote. Raises `ArtifactFault` for files that do not fit
    each other."""
    ids = MappedTexts(folder / IDS, folder / ID_ENDS, items)
    titles = MappedTexts(folder / TITLES, folder / TITLE_ENDS, items) if has_titles else ()
    numbers = map_array(folder / NUMBERS, "u4", items)
    indices = _open_indices(folder / INDICES, numbers)
    table = IdTable(folder / ID_TABLE, ids)
    if items > read_up_to:
        return Catalog(ids, numbers, titles, index_of=table.index_of, index_of_number=indices)
    return Catalog(list(ids), numbers.copy(), list(titles), index_of_number=indices.copy())


def _open_indices(path: Path, numbers: np.ndarray) -> np.ndarray:
    largest = int(numbers.max()) if len(numbers) else -1
    indices = map_array(path, "i4", largest + 2)
    if not np.array_equal(indices, indices_by_number(numbers)):
        raise ArtifactFault(f"{path} does not lead back from the numbers in {NUMBERS}. {REMEDY}")
    return indices
