"""Reading an interaction log: columns by their configured names, ids as text, rows sorted by time."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from contracts.faults import LogFault
from contracts.interaction import (
    EVENT_TYPE,
    ITEM_ID,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SESSION_ID,
    TIMESTAMP,
    USER_ID,
    WEIGHT,
)  # fmt: skip
from contracts.progress import Progress, silent
from contracts.sections import Log as Columns
from models.logs.checks import LogReport, judge
from models.logs.log_files import LogFiles, find_log_files, open_table, readable, refuse_broken_rows
from models.logs.rows import KEPT, LAST_IS_EMPTY, REASON, describe_dropped, mark_duplicates, read_rows

TITLE = "_title"


@dataclass(frozen=True)
class Log:
    """A log that was read and cleaned.

    frame    user_id and item_id (Enum over the ids in text order: the physical value is a code),
             timestamp (Int64 epoch milliseconds, or an order); where the log has them, weight (Float32)
             and session_id (Categorical, "" where a row has none). Sorted by time; ties keep the order
             of the file.
    titled   the columns item_id and `TITLE`, each item once; may name items that are not in the log
    sha256   of the content of the files; the column names in the settings are no part of it
    """

    frame: pl.DataFrame
    titled: pl.DataFrame
    sha256: str
    report: LogReport

    @property
    def titles(self) -> dict[str, str]:
        """Title by item id: of a large catalog gigabytes."""
        return dict(self.titled.iter_rows())

    @property
    def user_ids(self) -> list[str]:
        """User ids by code."""
        return self.frame[USER_ID].dtype.categories.to_list()

    @property
    def item_ids(self) -> list[str]:
        """Item ids by code."""
        return self.frame[ITEM_ID].dtype.categories.to_list()


def read_log(path: Path, columns: Columns, *, sha256: str = "", progress: Progress = silent) -> Log:
    """Read a CSV, CSV.gz or Parquet file, or a folder: see `find_log_files`.

    Rows that cannot be used are dropped, counted and shown by example in the report; nothing is repaired.
    `sha256` spares hashing the files once more. Raises `LogFault` for a file that cannot be read and for a
    missing column.
    """
    task = f"reading {path.name}"
    progress(task, 0, 3)
    files = find_log_files(path)
    sha256 = sha256 or files.sha256()
    progress(task, 1, 3)
    with readable(files.interactions):
        table = files.open()
        names = _named_columns(files.interactions, table, columns)
        rows, kind = read_rows(table, names, columns.event_types, is_text=files.is_text())
        if files.is_text() and rows[LAST_IS_EMPTY].any():
            refuse_broken_rows(files.interactions)
        progress(task, 2, 3)
        rows = mark_duplicates(rows)
        dropped = describe_dropped(rows, table, names)
    titled = _read_titles(files, columns)
    in_file_order = rows.filter(pl.col(REASON) == KEPT).drop(REASON, LAST_IS_EMPTY)
    frame = _sort_and_code(in_file_order)
    report = _report(frame, in_file_order[TIMESTAMP], titled)
    report |= {"path": str(path), "rows_read": len(rows), "dropped": dropped, "timestamp_kind": kind}
    progress(task, 3, 3)
    return Log(frame, titled, sha256, judge(LogReport(**report)))


def _named_columns(path: Path, table: pl.LazyFrame, columns: Columns) -> dict[str, str]:
    """Our name -> the file's name, of the columns that are there."""
    found = table.collect_schema().names()
    wanted = {name: getattr(columns, name) for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)}
    defaults = msgspec.structs.asdict(Columns())
    for name, column in wanted.items():
        asked = name in REQUIRED_COLUMNS or column != defaults[name]
        asked |= name == EVENT_TYPE and bool(columns.event_types)
        if asked and column not in found:
            raise LogFault(
                f"{path} has no column {column!r}; its columns, separated by commas, are {', '.join(found)}. "
                f"Set {name.replace('_', '-')} in [log] of flyweight.toml to the column that holds it."
            )
    return {name: column for name, column in wanted.items() if column in found}


def _read_titles(files: LogFiles, columns: Columns) -> pl.DataFrame:
    """See `Log.titled`; from the items file or from a log that carries them; of two titles the last."""
    path = files.items or files.interactions
    with readable(path):
        table = open_table(path) if files.items else files.open()
        found = table.collect_schema().names()
        missing = [column for column in (columns.item_id, columns.title) if column not in found]
        if missing and files.items is None and columns.title == Columns().title:
            return pl.DataFrame(schema={ITEM_ID: pl.String, TITLE: pl.String})
        if missing:
            raise LogFault(
                f"{path} has no column {missing[0]!r}; its columns are {', '.join(found)}. Set item-id and title "
                "in [log] of flyweight.toml, or move the file away to go without titles."
            )
        both = table.select(
            pl.col(columns.item_id).cast(pl.String).alias(ITEM_ID),
            pl.col(columns.title).cast(pl.String).alias(TITLE),
        )
        titled = both.filter((pl.col(TITLE) != "") & pl.col(ITEM_ID).is_not_null())
        return titled.unique(ITEM_ID, keep="last", maintain_order=True).collect(engine="streaming")


def _sort_and_code(rows: pl.DataFrame) -> pl.DataFrame:
    """Kept rows by time, ties in file order; ids as codes that do not depend on the order of reading."""
    frame = rows.sort(TIMESTAMP, maintain_order=True)
    coded = [frame[name].cast(pl.Enum(frame[name].unique().cast(pl.String).sort())) for name in (USER_ID, ITEM_ID)]
    kept = [name for name in (TIMESTAMP, WEIGHT, SESSION_ID) if name in frame.columns]
    return frame.select(*coded, *kept)


def _report(frame: pl.DataFrame, in_file_order: pl.Series, titled: pl.DataFrame) -> dict[str, object]:
    """The part of a `LogReport` that the kept rows tell."""
    per_user, per_item = (frame[name].to_physical().value_counts()["count"] for name in (USER_ID, ITEM_ID))
    times = frame[TIMESTAMP]
    report = {
        "rows_kept": len(frame),
        "users": len(per_user),
        "items": len(per_item),
        "users_with_one_interaction": int((per_user == 1).sum()),
        "items_seen_once": int((per_item == 1).sum()),
        "out_of_order_rows": int((in_file_order < in_file_order.cum_max()).sum()),
        "first_time": times[0] if len(times) else None,
        "last_time": times[-1] if len(times) else None,
        "sessions": None,
        "baskets": None,
        "rows_without_session": 0,
        "titles_found": int(frame[ITEM_ID].dtype.categories.is_in(titled[ITEM_ID].implode()).sum()),
    }
    if SESSION_ID in frame.columns:
        report["sessions"] = frame.select(USER_ID, SESSION_ID).n_unique()
        report["baskets"] = frame.select(USER_ID, SESSION_ID, TIMESTAMP).n_unique()
        report["rows_without_session"] = int((frame[SESSION_ID].cast(pl.String) == "").sum())
    return report
