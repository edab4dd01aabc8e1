"""The events that are somewhere: in the streams in which they wait for `flyweight ingest`, or in its log."""

from collections import Counter
from pathlib import Path

import msgspec
import redis

from contracts.events import EVENT_FIELD, PARTITIONS, events_key

_ROWS = 1000


class _Id(msgspec.Struct):
    event_id: str


_decoder = msgspec.json.Decoder(_Id)


def count_events(client: redis.Redis) -> int:
    return sum(client.xlen(events_key(partition)) for partition in range(PARTITIONS))


def event_ids(client: redis.Redis) -> Counter[str]:
    """Each id, and how often it is there."""
    found: Counter[str] = Counter()
    for partition in range(PARTITIONS):
        newest = "-"
        while rows := client.xrange(events_key(partition), newest, "+", _ROWS):
            found.update(_decoder.decode(row[EVENT_FIELD]).event_id for _, row in rows if EVENT_FIELD in row)
            newest = f"({rows[-1][0].decode()}"
    return found


def logged_ids(log: Path) -> list[str]:
    """Of every event in the log's files; none where there is no log."""
    files = sorted(log.glob("day=*/*.parquet"))
    if not files:
        return []
    import polars as pl  # only where something was ingested

    return pl.read_parquet(files, columns=["event_id"])["event_id"].to_list()
