"""A log in many Parquet files: `flyweight ingest` writes such folders, and so do warehouses."""

from pathlib import Path

import polars as pl

from contracts.faults import LogFault


def find_parts(folder: Path) -> list[Path]:
    """Parquet files in the folder and in folders called NAME=VALUE, at any depth; no hidden ones."""
    found = [path for path in folder.glob("*.parquet") if not path.name.startswith((".", "items."))]
    for below in folder.glob("*=*"):
        if below.is_dir() and not below.name.startswith("."):
            found += find_parts(below)
    return sorted(found)


def refuse_broken_parts(folder: Path) -> None:
    """Raise `LogFault` for the first part that cannot be opened, or has other columns than the first one."""
    expected = None
    for part in find_parts(folder):
        try:
            found = dict(pl.scan_parquet(part, hive_partitioning=False).collect_schema())
        except (pl.exceptions.PolarsError, OSError) as error:
            problem = str(error).strip().splitlines()[0]
            raise LogFault(f"{part} cannot be read: {problem}. Write the file again and check its end.") from error
        expected = expected or found
        if found != expected:
            raise LogFault(f"{part} has the columns {found}, the first part {expected}. Write one of them again.")
