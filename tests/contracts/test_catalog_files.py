"""The catalog on disk: files that do not fit each other are refused, whatever is done to them."""

from pathlib import Path

import numpy as np
import pytest

from contracts.catalog_files import (
    ID_ENDS,
    ID_TABLE,
    IDS,
    INDICES,
    NUMBERS,
    TITLE_ENDS,
    TITLES,
    open_catalog,
    write_catalog,
)
from contracts.encoding import Catalog
from contracts.faults import ArtifactFault

IDS_OF_FOUR = ["a", "bb", "c", "d"]
ARRAYS = ID_ENDS, ID_TABLE, NUMBERS, INDICES, TITLE_ENDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_catalog(tmp_path, Catalog(IDS_OF_FOUR, np.array([3, 0, 2, 9]), ["A", "", "C", ""]))
    return tmp_path


def save(path: Path, *numbers: int, dtype: str = "u4") -> None:
    np.save(path, np.array(numbers, dtype=dtype))


def changed(name: str, place: int, value: int):
    """A way to damage: one number of the file is another."""

    def damage(path: Path) -> None:
        array = np.load(path)
        array[place] = value
        np.save(path, array)

    return pytest.param(name, damage, id=f"{name}-{place}-{value}")


@pytest.mark.parametrize("read_up_to", [-1, 4], ids=["mapped", "read"])
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, lambda path: path.write_bytes(b"")) for name in ARRAYS),
        *((name, lambda path: path.write_bytes(b"a\nbb\nc\nd")) for name in (IDS, TITLES)),
        *((name, lambda path: save(path, 0, 2)) for name in (ID_ENDS, ID_TABLE, NUMBERS, TITLE_ENDS)),
        (INDICES, lambda path: save(path, 1, -1, dtype="i4")),
        (NUMBERS, lambda path: save(path, 3, 0, 2, 9, dtype="i8")),
        (NUMBERS, lambda path: np.save(path, np.array([[3, 0, 2, 9]], dtype="u4"))),
        (NUMBERS, lambda path: np.save(path, np.array([None] * 4), allow_pickle=True)),
        changed(ID_ENDS, 1, 7),
        changed(ID_ENDS, 0, 1),
        changed(ID_TABLE, -1, 0),
        changed(INDICES, 3, 4),
        changed(NUMBERS, 1, 1),
    ],
)
def test_file_that_does_not_fit_the_others_is_refused_by_name(folder, name, damage, read_up_to):
    damage(folder / name)
    with pytest.raises(ArtifactFault, match="export the run again") as refused:
        open_catalog(folder, 4, has_titles=True, read_up_to=read_up_to)
    assert {name, name.replace(NUMBERS, INDICES)} & set(str(refused.value).replace("/", " ").split())


@pytest.mark.parametrize("items", [3, 5])
def test_catalog_of_another_number_of_items_is_refused(folder, items):
    with pytest.raises(ArtifactFault, match="expected"):
        open_catalog(folder, items, has_titles=True)


def test_table_that_names_an_item_beyond_the_last_is_refused(folder):
    slots = np.load(folder / ID_TABLE)
    slots[np.flatnonzero(slots == 3)] = 4
    np.save(folder / ID_TABLE, slots)
    with pytest.raises(ArtifactFault, match="beyond the 4"):
        open_catalog(folder, 4, has_titles=True)


def test_mapped_catalog_survives_the_removal_of_its_files(folder):
    catalog = open_catalog(folder, 4, has_titles=True, read_up_to=-1)
    for path in folder.iterdir():
        path.unlink()
    assert catalog.index_of("bb") == 1
    assert catalog.title(2) == "C"
