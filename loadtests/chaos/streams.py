"""The events that are in Redis, read from the streams in which they wait for `flyweight ingest`."""

from collections import Counter

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
