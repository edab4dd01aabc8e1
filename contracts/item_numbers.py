"""Item numbers outlive artifacts: a stable, append-only table from item id to item number.

The feature cache holds numbers, so that promoting another artifact re-materialises nothing. The file
is `artifacts/item-numbers`: one line per item, number = line (from 0), the id JSON-quoted.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from contracts import durable
from contracts.faults import ArtifactFault

FILE_NAME = "item-numbers"


def append(artifacts: Path, item_ids: Iterable[str]) -> dict[str, int]:
    """Give every new id the next free number and return the whole table, id -> number.

    Holds a lock, so that two trainings at once agree; replaces the file in one step, so that a reader
    never meets half a line.
    """
    path = artifacts / FILE_NAME
    with durable.lock(artifacts / f".{FILE_NAME}.lock"):
        table = load(artifacts)
        known = len(table)
        for item_id in item_ids:
            table.setdefault(item_id, len(table))
        if len(table) > known or not path.exists():
            durable.write_bytes(path, b"".join(msgspec.json.encode(item) + b"\n" for item in table))
        return table


def load(artifacts: Path) -> dict[str, int]:
    """The table as it stands, id -> number; empty when nothing was ever trained here."""
    path = artifacts / FILE_NAME
    if not path.exists():
        return {}
    remedy = "Restore it from a backup; without it every feature cache must be materialized again."
    try:
        ids = [msgspec.json.decode(line, type=str) for line in path.read_bytes().splitlines()]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactFault(f"{path} is damaged ({error}): expected one JSON string per line. {remedy}") from error
    table = {item_id: number for number, item_id in enumerate(ids)}
    if len(table) < len(ids):
        raise ArtifactFault(f"{path} is damaged: found an item twice, expected each once. {remedy}")
    return table


def numbers_of(table: dict[str, int], item_ids: Iterable[str]) -> np.ndarray:
    """uint32 numbers of known ids, in the order given; an id without a number is dropped."""
    found = [number for number in map(table.get, item_ids) if number is not None]
    return np.asarray(found, dtype=np.uint32)
