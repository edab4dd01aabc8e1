"""From whatever a log calls a timestamp to int64: epoch milliseconds, or an order that stays as it is."""

import polars as pl

from contracts.faults import LogFault

ORDER, SECONDS, MILLISECONDS, ISO, DATETIME = (
    "order", "epoch seconds", "epoch milliseconds", "ISO 8601", "datetime column",
)  # fmt: skip

_BOUNDS = {ORDER: (0.0, 1e8), SECONDS: (1e8, 1e11), MILLISECONDS: (1e11, 1e14)}
"""What a number of each kind lies between: 1e8 seconds is 1973, 1e11 seconds the year 5138."""

_ISO_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d",
)  # fmt: skip


def parse_timestamps(column: pl.Expr, dtype: pl.DataType, looks_numeric: bool) -> tuple[pl.Expr, str | None]:
    """The column as milliseconds (Int64) and its kind; or as plain numbers (Float64) and None.

    Plain numbers get their kind from all of them together: see `times_from_numbers`. What cannot be read
    becomes null. A text column is read as numbers when `looks_numeric`, else as ISO 8601.
    """
    if dtype.is_temporal():
        instant = column.cast(pl.Datetime("ms")) if dtype == pl.Date else column
        if getattr(dtype, "time_zone", None):
            instant = instant.dt.convert_time_zone("UTC")
        return instant.dt.epoch("ms"), DATETIME
    if dtype.is_numeric() or looks_numeric:
        number = column.cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number), None
    text = column.cast(pl.String)
    return text.map_batches(_parse_iso, return_dtype=pl.Int64, is_elementwise=True), ISO


def times_from_numbers(numbers: pl.Series) -> tuple[pl.Series, str]:
    """Int64 times and their kind, told by the median of the whole column.

    A number that the kind cannot mean (0 among epoch seconds, milliseconds among seconds, a fraction in
    an order) becomes null. Raises `LogFault` when the median is of no kind at all.
    """
    median = numbers.median()
    if median is None:
        return numbers.cast(pl.Int64), ORDER
    kinds = [kind for kind, (low, high) in _BOUNDS.items() if low <= median < high]
    if not kinds:
        raise LogFault(
            f"timestamps are around {median:.0f}, which is neither an order (below 100,000,000) nor epoch "
            "seconds nor epoch milliseconds. Divide microseconds by 1,000, or write ISO 8601."
        )
    kind = kinds[0]
    low, high = _BOUNDS[kind]
    fits = (numbers >= low) & (numbers < high)
    if kind == ORDER:
        fits &= numbers == numbers.floor()
    scale = 1000 if kind == SECONDS else 1
    times = (numbers.set(~fits, None) * scale).round().cast(pl.Int64)
    return times.alias(numbers.name), kind


def _parse_iso(text: pl.Series) -> pl.Series:
    """Milliseconds from ISO 8601 dates and times; without a zone they are UTC.

    Each format sees only what the ones before it could not read: a log of one format is parsed once.
    """
    plain = text.str.strip_chars().str.replace("T", " ", literal=True).str.replace(r" ?Z$", "+00:00")
    times = pl.repeat(None, len(plain), dtype=pl.Int64, eager=True).alias(text.name)
    for form in _ISO_FORMATS:
        missing = times.is_null().arg_true()
        if not len(missing):
            break
        found = plain.gather(missing).str.to_datetime(form, time_unit="ms", strict=False).dt.epoch("ms")
        times = times.scatter(missing, found)
    return times
