"""Files that are mapped into memory instead of read: all workers of a machine share one copy of each.

What is mapped must never be written again in place; what is sealed never is.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from contracts.faults import ArtifactFault

REMEDY = "Copy the artifact again, or export the run again with `flyweight export`."
_AT_ONCE = 100_000
"""Texts written, or read one after the other, in one step: some megabytes."""


def map_array(path: Path, dtypes: str, length: int | None = None) -> np.ndarray:
    """The one-dimensional array of a .npy file, read-only. `dtypes` are the codes of those that it may have, all
    little-endian, e.g. "u4 u8". Raises `ArtifactFault` for any other content, or another length than said."""
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactFault(f"{path} cannot be read: {error}. {REMEDY}") from error
    allowed = [np.dtype(f"<{code}") for code in dtypes.split()]
    if array.dtype not in allowed or array.ndim != 1 or length not in (None, len(array)):
        expected = f"{' or '.join(map(str, allowed))} [{'any' if length is None else length}]"
        raise ArtifactFault(f"{path} holds {array.dtype} {list(array.shape)}, expected {expected}. {REMEDY}")
    return array


class MappedTexts(Sequence[str]):
    """Texts in index order: a text file with one line each, mapped, and where each line ends.

    The ends decide, so a text may hold a line break. One is read in well under a microsecond.
    """

    def __init__(self, lines: Path, ends: Path, count: int) -> None:
        """Raises `ArtifactFault` unless there are `count` texts, and both files fit each other."""
        array = map_array(ends, "u4 u8", count + 1)
        with lines.open("rb") as handle:
            size = handle.seek(0, 2)
            self._lines = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        if array[0] != 0 or array[-1] != size or (array[1:] <= array[:-1]).any():
            found = f"{lines} has {size} bytes, which {ends} does not divide into {count} texts"
            raise ArtifactFault(f"{found}. {REMEDY}")
        self._ends = memoryview(array)  # gives plain integers, three times as fast as the array would
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key):
        if isinstance(key, slice):
            return self._several(*key.indices(self._count))
        if key < 0:
            key += self._count
        if not 0 <= key < self._count:
            raise IndexError(f"there are {self._count} texts, no number {key}")
        return str(self._lines[self._ends[key] : self._ends[key + 1] - 1], "utf-8")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, self._count, _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    def encoded(self, index: int) -> bytes:
        """One text in UTF-8. `index` is from 0."""
        return self._lines[self._ends[index] : self._ends[index + 1] - 1]

    def chosen(self, indices: Sequence[int]) -> list[str]:
        """Those with these indices, each from 0."""
        lines, ends = self._lines, self._ends
        return [str(lines[ends[i] : ends[i + 1] - 1], "utf-8") for i in indices]

    def _several(self, start: int, stop: int, step: int) -> list[str]:
        if step != 1 or start >= stop:
            return self.chosen(range(start, stop, step))
        text = str(self._lines[self._ends[start] : self._ends[stop] - 1], "utf-8")
        texts = text.split("\n")
        return texts if len(texts) == stop - start else self.chosen(range(start, stop))


def write_texts(lines: Path, ends: Path, texts: Sequence[str]) -> None:
    """What `MappedTexts` reads. Memory beside the texts themselves: eight bytes for each."""
    array = np.zeros(len(texts) + 1, dtype=np.uint64)
    with lines.open("wb") as handle:
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            content = "".join(f"{text}\n" for text in some).encode()
            breaks = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n")) + 1
            if len(breaks) != len(some):  # some text holds a line break itself
                breaks = np.cumsum([len(text.encode()) + 1 for text in some])
            array[start + 1 : start + 1 + len(some)] = array[start] + breaks.astype(np.uint64)
            handle.write(content)
    np.save(ends, array.astype(np.uint32) if array[-1] < 2**32 else array, allow_pickle=False)
