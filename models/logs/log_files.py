"""The files of an interaction log: finding, hashing and opening them, and naming the line that is broken."""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

import polars as pl

from contracts import durable
from contracts.faults import LogFault, UsageFault
from models.logs.parts import find_parts, refuse_broken_parts

SUFFIXES = (".csv", ".csv.gz", ".parquet")
INTERACTIONS, ITEMS = "interactions", "items"


@dataclass(frozen=True)
class LogFiles:
    """`parts`: the Parquet files of the interactions, where these are a folder."""

    interactions: Path
    items: Path | None
    parts: tuple[Path, ...] = ()

    def is_text(self) -> bool:
        return not self.parts and self.interactions.suffix != ".parquet"

    def open(self) -> pl.LazyFrame:
        """The interactions; of a folder, one file after the other. See `open_table`."""
        return open_table(self.interactions, self.parts)

    def sha256(self) -> str:
        """Of the interactions file; of parts, of their hex digests with their places; with an items file, of the
        two hex digests one after the other.
        """
        if self.parts:
            places = [f"{sha256_of(part)}  {part.relative_to(self.interactions)}\n" for part in self.parts]
            digest = hashlib.sha256("".join(places).encode()).hexdigest()
        else:
            digest = sha256_of(self.interactions)
        if self.items is None:
            return digest
        return hashlib.sha256((digest + sha256_of(self.items)).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Of the content of a file, in hex. Raises `LogFault` when it cannot be read."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise LogFault(f"{path} cannot be read: {error.strerror}.") from error


def find_log_files(path: Path) -> LogFiles:
    """The files behind `path`: a log file, or a folder holding `interactions.*` and perhaps `items.*`. Instead of
    `interactions.*` it may hold any number of Parquet files, in folders such as `day=2026-11-21` too.

    Raises `LogFault` when there is none, more than one, or one of a kind that cannot be read.
    """
    if path.is_dir():
        interactions, items = _only_file(path, INTERACTIONS), _only_file(path, ITEMS)
        parts = () if interactions else tuple(find_parts(path))
        if parts:
            return LogFiles(path, items, parts)
        if interactions is None:
            found = ", ".join(sorted(entry.name for entry in path.iterdir())[:10]) or "nothing"
            raise LogFault(
                f"{path} holds no log: found {found}; expected {INTERACTIONS} as {' or '.join(SUFFIXES)}, "
                "or Parquet files, in folders such as day=2026-11-21 too."
            )
        return LogFiles(interactions, items)
    if not path.is_file():
        raise LogFault(f"{path} does not exist; expected an interaction log (a file or a folder).")
    if not path.name.endswith(SUFFIXES):
        raise LogFault(f"{path} cannot be read; expected {' or '.join(SUFFIXES)}. Convert it to one of these.")
    return LogFiles(path, None)


def open_table(path: Path, parts: tuple[Path, ...] = ()) -> pl.LazyFrame:
    """The columns of a CSV file as text, of Parquet (one file, or the `parts` of a folder) in their own types;
    nothing is read yet.

    Raises `LogFault` when there is not even a header.
    """
    if parts or path.suffix == ".parquet":
        table = pl.scan_parquet(list(parts) or path, hive_partitioning=False)
    else:
        table = pl.scan_csv(path, infer_schema=False, empty_string_is_null=False)
    with readable(path):
        names = table.collect_schema().names()
    twice = [name.split("_duplicated_")[0] for name in names if "_duplicated_" in name]
    if twice:
        raise LogFault(f"{path} has more than one column {twice[0]!r}. Remove or rename one of them.")
    return table


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read into a `LogFault` that names the broken line."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise LogFault(f"{path} is empty; expected a header line and interactions.") from None
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        if path.is_dir():
            refuse_broken_parts(path)
        elif path.suffix != ".parquet":
            refuse_broken_rows(path)
        problem = str(error).strip().splitlines()[0]
        raise LogFault(f"{path} cannot be read: {problem}. Write the file again and check its end.") from error


def refuse_broken_rows(path: Path) -> None:
    """Raise `LogFault` for the first line that is not UTF-8 or has another number of fields than the header.

    A blank line is no broken row. Returns when every line is well formed.
    """
    try:
        with _open_bytes(path) as handle:
            for number, line in enumerate(handle, start=1):
                _refuse_unless_utf8(path, number, line)
        with _open_bytes(path) as handle:
            reader = csv.reader((line.decode("utf-8-sig") for line in handle), strict=True)
            expected = len(next(reader, []))
            for row in reader:
                if row and len(row) != expected:
                    raise LogFault(
                        f"{path}, line {reader.line_num}: found {len(row)} fields, expected {expected} as in "
                        f"the header. Quote fields that hold a comma; the row begins {','.join(row)[:80]!r}."
                    )
    except csv.Error as error:
        raise LogFault(f"{path}, line {reader.line_num}: {error}. A quote is open or out of place.") from error
    except (OSError, EOFError) as error:
        raise LogFault(f"{path} cannot be read: {error}. Copy or compress the file again.") from error


@contextmanager
def new_log_folder(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield a directory to fill with the files `names` (`*` stands for anything); it becomes `folder` when the
    block ends well.

    Raises `UsageFault` rather than replace a folder that holds anything else.
    """
    if folder.exists():
        others = [
            entry.name for entry in folder.iterdir() if not any(fnmatchcase(entry.name, name) for name in names)
        ]
        if others:
            raise UsageFault(
                f"{folder} holds {others[0]!r}, which is no part of a log written by flyweight, and would be "
                "replaced. Name another folder, or move that away."
            )
    with durable.new_directory(folder) as draft:
        yield draft


def _only_file(folder: Path, stem: str) -> Path | None:
    found = [folder / (stem + suffix) for suffix in SUFFIXES if (folder / (stem + suffix)).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise LogFault(f"{folder} holds {names}; expected one {stem} file. Move the others away.")
    return found[0] if found else None


def _open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _refuse_unless_utf8(path: Path, number: int, line: bytes) -> None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise LogFault(
            f"{path}, line {number}: {line[:80]!r} is not UTF-8 ({error.reason}). Convert the file to UTF-8."
        ) from error
