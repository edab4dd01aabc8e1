"""How a split lies on disk.

train.parquet validation.parquet holdout.parquet   users, items, times, sessions, weights
items.parquet   item_id, title; the catalog first, in index order
users.parquet   user_id, by user code
split.json      what it is, and the sha256 of every other file; written last
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
import polars as pl

from contracts.artifact import SealedFile
from contracts.faults import LogFault
from models.logs.log_files import sha256_of
from models.splits.interactions import Interactions

SCHEMA_VERSION = 1
DESCRIPTION = "split.json"
PARTS = ("train", "validation", "holdout")
ITEMS, USERS = "items", "users"
REMEDY = "Make it again with `flyweight split`."


class PartDescription(msgspec.Struct, forbid_unknown_fields=True):
    interactions: int
    users: int


class SplitDescription(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`sha256` is the split's identity (`models.splits.split.split_identity`). The cutoffs are the times at which
    validation and holdout begin, None under leave-one-out. `items` is the size of the catalog: what train
    holds."""

    schema_version: int
    sha256: str
    log_sha256: str
    protocol: str
    validation_cutoff: int | None
    holdout_cutoff: int | None
    parts: dict[str, PartDescription]
    users: int
    items: int
    holdout_items_outside_catalog: int
    has_sessions: bool
    timestamp_kind: str
    files: dict[str, SealedFile] = {}


def write_split(
    folder: Path,
    description: SplitDescription,
    parts: dict[str, Interactions],
    user_ids: Sequence[str] | pl.Series,
    item_ids: Sequence[str] | pl.Series,
    titles: Sequence[str] | pl.Series,
) -> None:
    """Fill `folder`. The same arguments give the same bytes."""
    for name, part in parts.items():
        arrays = {key: value for key, value in asdict(part).items() if key != "has_sessions"}
        _write_table(folder, name, pl.DataFrame(arrays))
    _write_table(folder, ITEMS, pl.DataFrame({"item_id": item_ids, "title": titles}))
    _write_table(folder, USERS, pl.DataFrame({"user_id": user_ids}))
    files = {path.name: SealedFile(sha256_of(path), path.stat().st_size) for path in sorted(folder.iterdir())}
    content = msgspec.json.encode(msgspec.structs.replace(description, files=files))
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(content, indent=2))


def read_description(folder: Path) -> SplitDescription:
    """Raises `LogFault` for a folder that is no split, or one of another version."""
    path = folder / DESCRIPTION
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content).get("schema_version")
        if version == SCHEMA_VERSION:
            return msgspec.json.decode(content, type=SplitDescription)
    except OSError as error:
        raise LogFault(
            f"{folder} is no split: found no readable {DESCRIPTION} ({error.strerror}). {REMEDY}"
        ) from error
    except (msgspec.MsgspecError, AttributeError) as error:
        raise LogFault(f"{path} is damaged: {error}. {REMEDY}") from error
    raise LogFault(f"{folder} has schema version {version}, this code reads {SCHEMA_VERSION}. {REMEDY}")


def read_part(folder: Path, description: SplitDescription, name: str) -> Interactions:
    """One of PARTS. Raises `LogFault` when its file is missing or not the one that was written."""
    table = read_table(folder, description, name)
    arrays = {column.name: column.to_numpy() for column in table}
    return Interactions(**arrays, has_sessions=description.has_sessions)


def read_table(folder: Path, description: SplitDescription, name: str) -> pl.DataFrame:
    """One of PARTS, ITEMS or USERS as it was written. Raises `LogFault` as `read_part` does."""
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise LogFault(f"{path} is missing, but {DESCRIPTION} names it. {REMEDY}")
    expected = description.files[path.name].sha256
    found = sha256_of(path)
    if found != expected:
        raise LogFault(f"{path} has sha256 {found}, {DESCRIPTION} says {expected}. {REMEDY}")
    return pl.read_parquet(path)


def _write_table(folder: Path, name: str, table: pl.DataFrame) -> None:
    table.write_parquet(folder / f"{name}.parquet", compression="zstd", row_group_size=1_000_000)
