"""Item numbers outlive artifacts: a stable, append-only table from item id to item number.

The feature cache holds numbers, so that promoting another artifact re-materialises nothing. The file
is `artifacts/item-numbers`: one line per item, number = line (from 0), the id JSON-quoted.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from contracts import durable
from contracts.faults import ArtifactFault

FILE_NAME = "item-numbers"
_AT_ONCE = 100_000
_ENCODER = msgspec.json.Encoder()


def append(artifacts: Path, item_ids: Iterable[str]) -> dict[str, int]:
    """Give every new id the next free number and return the whole table, id -> number.

    Holds a lock, so that two trainings at once agree; replaces the file in one step, so that a reader
    never meets half a line.
    """
    path = artifacts / FILE_NAME
    with durable.lock(artifacts / f".{FILE_NAME}.lock"):
        table = load(artifacts)
        before = len(table)
        for item_id in item_ids:
            table.setdefault(item_id, len(table))
        new = list(islice(table, before, None))
        if new or not path.exists():
            known = path.read_bytes() if path.exists() else b""
            with durable.new_file(path) as temporary:
                _write(temporary, known, new)
        return table


def load(artifacts: Path) -> dict[str, int]:
    """The table as it stands, id -> number; empty when nothing was ever trained here."""
    path = artifacts / FILE_NAME
    if not path.exists():
        return {}
    remedy = "Restore it from a backup; without it every feature cache must be materialized again."
    content = path.read_bytes()
    lines = content.count(b"\n")
    try:
        ids = msgspec.json.Decoder(str).decode_lines(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactFault(f"{path} is damaged ({error}): expected one JSON string per line. {remedy}") from error
    if len(ids) != lines:
        found = f"{lines} lines with {len(ids)} strings"
        raise ArtifactFault(f"{path} is damaged (found {found}): expected one JSON string per line. {remedy}")
    table = dict(zip(ids, range(len(ids)), strict=True))
    if len(table) < len(ids):
        raise ArtifactFault(f"{path} is damaged: found an item twice, expected each once. {remedy}")
    return table


def _write(place: Path, known: bytes, new: list[str]) -> None:
    """The lines `known` as they are, and the new ids behind them."""
    with place.open("wb") as written:
        written.write(known)
        for start in range(0, len(new), _AT_ONCE):
            written.write(_ENCODER.encode_lines(new[start : start + _AT_ONCE]))


def numbers_of(table: dict[str, int], item_ids: Iterable[str]) -> np.ndarray:
    """uint32 numbers of known ids, in the order given; an id without a number is dropped."""
    found = [number for number in map(table.get, item_ids) if number is not None]
    return np.asarray(found, dtype=np.uint32)
