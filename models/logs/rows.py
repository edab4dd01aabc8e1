"""The rows of a log file as they stand, each with the reason why it cannot be used, if there is one."""

import polars as pl

from contracts.faults import LogFault
from contracts.interaction import EVENT_TYPE, ITEM_ID, MAX_ID_LENGTH, SESSION_ID, TIMESTAMP, USER_ID, WEIGHT
from models.logs import checks
from models.logs.checks import REASONS, Dropped
from models.logs.timestamps import parse_timestamps, times_from_numbers

REASON, LAST_IS_EMPTY = "_reason", "_last_is_empty"
KEPT = len(REASONS)
ID_COLUMNS = (USER_ID, ITEM_ID, EVENT_TYPE, SESSION_ID)


def read_rows(
    table: pl.LazyFrame, names: dict[str, str], event_types: tuple[str, ...], *, is_text: bool
) -> tuple[pl.DataFrame, str]:
    """Every row in the order of the file, and the kind of timestamp.

    `names` maps our column names to the table's. Ids come out as categories, times as Int64, weights as
    Float32. The column REASON holds an index of `checks.REASONS`, or KEPT; duplicates are not marked yet.
    LAST_IS_EMPTY is true where the last column of a text file holds nothing. Of other files only the columns of
    `names` are read.
    """
    schema = table.collect_schema()
    text = {name: _as_text(names[name], schema) for name in names if name in ID_COLUMNS}
    column = pl.col(names[TIMESTAMP])
    numeric = _looks_numeric(table, names[TIMESTAMP])
    time, kind = parse_timestamps(column, schema[names[TIMESTAMP]], numeric)
    weight = pl.col(names[WEIGHT]).cast(pl.Float32, strict=False) if WEIGHT in names else None
    empty_time = column.cast(pl.String).fill_null("") == ""
    last_is_empty = (pl.col(schema.names()[-1]).cast(pl.String) == "").fill_null(False)
    selected = [
        _reason(text, empty_time, weight, event_types).alias(REASON),
        (last_is_empty if is_text else pl.lit(False)).alias(LAST_IS_EMPTY),
        time.alias(TIMESTAMP),
        *(text[name].cast(pl.Categorical(pl.Categories.random())).alias(name) for name in text),
    ]
    if weight is not None:
        selected.append(weight.alias(WEIGHT))
    rows = table.select(selected).collect(engine="streaming")
    if kind is None:
        times, kind = times_from_numbers(rows[TIMESTAMP])
        rows = rows.with_columns(times)
    unread = (rows[REASON] == KEPT) & rows[TIMESTAMP].is_null()
    return rows.with_columns(rows[REASON].set(unread, REASONS.index(checks.BAD_TIME))), kind


def mark_duplicates(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows equal to an earlier one in user, item, time, session and event type, marked with that reason."""
    same = [name for name in (*ID_COLUMNS, TIMESTAMP) if name in rows.columns]
    kept = rows.select(*same, REASON).with_row_index("row").filter(pl.col(REASON) == KEPT)
    by_time = kept.sort(TIMESTAMP, maintain_order=True)
    time = pl.col(TIMESTAMP)
    tied = by_time.filter((time == time.shift(1)) | (time == time.shift(-1)))  # few rows in most logs
    extra = tied.filter(~pl.struct(same).is_first_distinct())["row"]
    reason = rows[REASON].scatter(extra, REASONS.index(checks.DUPLICATE))
    return rows.with_columns(reason)


def describe_dropped(rows: pl.DataFrame, table: pl.LazyFrame, names: dict[str, str]) -> list[Dropped]:
    """What was dropped by reason, each with its first row as it stands in the file."""
    counts = (
        rows.select(REASON)
        .with_row_index("row")
        .filter(pl.col(REASON) != KEPT)
        .group_by(REASON)
        .agg(pl.len().alias("rows"), pl.col("row").min().alias("first"))
        .sort(REASON)
    )
    if not len(counts):
        return []
    firsts = (
        table.select([pl.col(column).cast(pl.String).alias(name) for name, column in names.items()])
        .with_row_index("row")
        .filter(pl.col("row").is_in(counts["first"].to_list()))
        .collect(engine="streaming")
    )
    examples = {row.pop("row"): row for row in firsts.iter_rows(named=True)}
    return [
        Dropped(REASONS[row[REASON]], row["rows"], row["first"] + 1, _example(names, examples[row["first"]]))
        for row in counts.iter_rows(named=True)
    ]


def _reason(
    text: dict[str, pl.Expr],
    empty_time: pl.Expr,
    weight: pl.Expr | None,
    event_types: tuple[str, ...],
) -> pl.Expr:
    user, item = text[USER_ID], text[ITEM_ID]
    holds = {
        checks.BLANK: (user == "") & (item == "") & empty_time,
        checks.NO_USER: user == "",
        checks.NO_ITEM: item == "",
        checks.LONG_ID: (user.str.len_chars() > MAX_ID_LENGTH) | (item.str.len_chars() > MAX_ID_LENGTH),
    }
    if weight is not None:
        holds[checks.BAD_WEIGHT] = ~((weight > 0) & weight.is_finite()).fill_null(False)
    if event_types:
        holds[checks.OTHER_EVENT] = ~text[EVENT_TYPE].is_in(event_types)
    reason = pl.lit(KEPT, dtype=pl.UInt8)
    for name in reversed(holds):
        reason = pl.when(holds[name]).then(pl.lit(REASONS.index(name), dtype=pl.UInt8)).otherwise(reason)
    return reason


def _as_text(column: str, schema: pl.Schema) -> pl.Expr:
    """An id column as text, "" where there is nothing. Raises `LogFault` where text would be a guess."""
    kind = schema[column]
    if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise LogFault(
            f"column {column!r} is {kind}; expected ids as text or whole numbers. "
            "Write the column as text, so that every id keeps the form in which your shop asks for it."
        )
    return pl.col(column).cast(pl.String).fill_null("")


def _looks_numeric(table: pl.LazyFrame, column: str) -> bool:
    """Whether most of the first 100 timestamps that are there read as numbers."""
    head = table.select(pl.col(column).cast(pl.String).alias("time")).filter(pl.col("time") != "").head(100)
    numbers = head.collect(engine="streaming")["time"].cast(pl.Float64, strict=False)
    return numbers.is_not_null().sum() * 2 > len(numbers)


def _example(names: dict[str, str], row: dict[str, str | None]) -> str:
    return ", ".join(f"{names[name]}={(row[name] or '')[:60]!r}" for name in names)
