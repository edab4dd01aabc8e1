"""From an item id to its index through a hash table that is mapped, not read.

Open addressing. An id's home is its CRC-32 modulo (2 * items + 1); an id whose home is taken lies in the next free
slot behind it. A slot holds an item index, or EMPTY; the last one is EMPTY, so every search ends. CRC-32 is the
same in every process and for ever; that two ids share one costs a step, for the id itself is compared.
"""

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from contracts.faults import ArtifactFault
from contracts.mapped_files import REMEDY, MappedTexts, map_array

EMPTY = 2**32 - 1
_AT_ONCE = 100_000


class IdTable:
    """Finds the index of an item id in about a microsecond, without anything of its own in memory."""

    def __init__(self, path: Path, item_ids: MappedTexts) -> None:
        """Raises `ArtifactFault` for a table that is not of so many ids."""
        slots = map_array(path, "u4")
        self._homes = _homes(len(item_ids))
        if len(slots) <= self._homes or slots[-1] != EMPTY or np.count_nonzero(slots != EMPTY) != len(item_ids):
            raise ArtifactFault(f"{path} is no table of {len(item_ids)} item ids. {REMEDY}")
        if len(item_ids) and slots[slots != EMPTY].max() >= len(item_ids):
            raise ArtifactFault(f"{path} names items beyond the {len(item_ids)} there are. {REMEDY}")
        self._slots = memoryview(slots)
        self._encoded = item_ids.encoded

    def index_of(self, item_id: str) -> int | None:
        """None for an id that is not there."""
        wanted = item_id.encode("utf-8", "surrogatepass")  # half a character is in no catalog, and no error
        place = crc32(wanted) % self._homes
        slots, encoded = self._slots, self._encoded
        while (index := slots[place]) != EMPTY:
            if encoded(index) == wanted:
                return index
            place += 1
        return None


def write_id_table(path: Path, item_ids: Sequence[str]) -> None:
    """The table of these ids, each of which stands there once. Ten million take some seconds."""
    homes = np.empty(len(item_ids), dtype=np.int64)
    for start in range(0, len(item_ids), _AT_ONCE):
        some = item_ids[start : start + _AT_ONCE]
        homes[start : start + len(some)] = np.fromiter(map(crc32, map(str.encode, some)), np.int64, len(some))
    homes %= _homes(len(item_ids))
    order = np.argsort(homes, kind="stable")
    # In the order of their homes each item takes its home, or the slot behind the one before it if that is later.
    count = np.arange(len(order))
    places = np.maximum.accumulate(homes[order] - count) + count
    taken = int(places[-1]) + 1 if len(places) else 0
    slots = np.full(max(_homes(len(item_ids)), taken) + 1, EMPTY, dtype=np.uint32)
    slots[places] = order
    np.save(path, slots, allow_pickle=False)


def _homes(items: int) -> int:
    return 2 * items + 1
