"""What the streams brought, in Parquet files by day: `day=2026-11-21/<when begun>-<chance>.parquet`, days in UTC.

A day's newest file is written again with the new rows until it is large enough, so that many small commits do
not leave many small files. A reader sees the file before or after: see `export/redo.py`.
"""

import time
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from contracts import durable
from contracts.events import Event, Served
from contracts.interaction import EVENT_TYPE, ITEM_ID, TIMESTAMP, USER_ID
from export.redo import Change

EVENT_ID, REQUEST_ID = "event_id", "request_id"
MOMENT = pl.Datetime("ms", "UTC")
EVENTS = {
    EVENT_ID: pl.String,
    EVENT_TYPE: pl.String,
    USER_ID: pl.String,
    ITEM_ID: pl.String,
    TIMESTAMP: MOMENT,
    REQUEST_ID: pl.String,
    "position": pl.Int64,
    "value": pl.Float64,
}
SERVED = {
    REQUEST_ID: pl.String,
    TIMESTAMP: MOMENT,
    "variant": pl.String,
    "version": pl.String,
    "items": pl.List(pl.String),
}
REFUSED = {"stream": pl.String, "id": pl.String, TIMESTAMP: MOMENT, "entry": pl.String, "problem": pl.String}

_FULL_ROWS = 200_000
_OTHER_NAMES = {EVENT_TYPE: "type"}


def rows_of(entries: Iterable[Event] | Iterable[Served], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """One row per event, or per list that was served, in their order."""
    entries = list(entries)
    columns = {name: [getattr(entry, _OTHER_NAMES.get(name, name)) for entry in entries] for name in schema}
    return table_of(columns, schema)


def table_of(columns: dict[str, list], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Lists as a table; the times among them are milliseconds."""
    numbers = {name: pl.Int64 if kind == MOMENT else kind for name, kind in schema.items()}
    return pl.DataFrame(columns, schema=numbers).cast({TIMESTAMP: MOMENT})


@dataclass(frozen=True)
class DailyLog:
    """Rows of `schema` by the day of their TIMESTAMP. No two rows share all of `key`."""

    folder: Path
    schema: dict[str, pl.DataType]
    key: tuple[str, ...]

    def files(self, day: str = "*") -> list[Path]:
        return sorted(self.folder.glob(f"day={day}/*.parquet"))

    def without_known(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are not in the log yet. A row that comes again has the same time: its day is looked at."""
        for day in _days_of(rows):
            files = self.files(day)
            if files:
                ids = rows[self.key[-1]].implode()
                there = pl.scan_parquet(files, hive_partitioning=False).filter(pl.col(self.key[-1]).is_in(ids))
                known = there.select(self.key).collect(engine="streaming")
                rows = rows.join(known, on=self.key, how="anti", maintain_order="left")
        return rows

    def draft(self, rows: pl.DataFrame, forgotten: Collection[str] = ()) -> tuple[Change, int]:
        """Draft the files that take `rows` in and let go of all that they held of the users `forgotten`; say how
        many rows that were. Nothing changes for a reader until the change is recorded and finished.
        """
        new = {day: rows.filter(_day() == day) for day in _days_of(rows)}
        places = {self._newest_file(day): day for day in new}
        change, erased = Change(), 0
        for place in sorted({*places, *self._files_holding(forgotten)}):
            old = pl.read_parquet(place, hive_partitioning=False) if place.exists() else rows.clear()
            kept = old.filter(~pl.col(USER_ID).is_in(list(forgotten))) if forgotten else old
            erased += len(old) - len(kept)
            content = pl.concat([kept, new[places[place]]]) if place in places else kept
            if len(content):
                draft = self._write(content, place)
                change.drafts[str(draft.relative_to(self.folder))] = str(place.relative_to(self.folder))
            else:
                change.removals.append(str(place.relative_to(self.folder)))
        if change.drafts:
            durable.flush(self.folder)  # the folders of new days are in it
        return change, erased

    def _write(self, content: pl.DataFrame, place: Path) -> Path:
        draft = durable.draft_file(place)
        content.sort(TIMESTAMP, maintain_order=True).write_parquet(draft)
        durable.flush(draft)
        durable.flush(draft.parent)
        return draft

    def _newest_file(self, day: str) -> Path:
        """Where the day's new rows go: its newest file, or a new one where that is full."""
        files = self.files(day)
        if files and pl.scan_parquet(files[-1]).select(pl.len()).collect().item() < _FULL_ROWS:
            return files[-1]
        return self.folder / f"day={day}" / f"{time.time_ns() // 1_000_000:013d}-{uuid.uuid4().hex[:8]}.parquet"

    def _files_holding(self, users: Collection[str]) -> list[Path]:
        files = self.files()
        if not (users and files):
            return []
        rows = pl.scan_parquet(files, hive_partitioning=False, include_file_paths="file")
        holding = rows.filter(pl.col(USER_ID).is_in(list(users))).select("file").unique()
        return [Path(file) for file in holding.collect(engine="streaming")["file"]]


def _days_of(rows: pl.DataFrame) -> list[str]:
    return rows.select(_day()).to_series().unique().sort().to_list()


def _day() -> pl.Expr:
    return pl.col(TIMESTAMP).dt.strftime("%Y-%m-%d")
