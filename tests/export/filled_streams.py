"""A real Redis whose streams a test fills as the service would, and the log that comes of them."""

from pathlib import Path

import msgspec
import polars as pl
from redis import Redis

from contracts.events import (
    EVENT_FIELD,
    SERVED_FIELD,
    SERVED_KEY,
    Event,
    Served,
    events_key,
    partition_of,
)

DAY_MS = 86_400_000
NOON_MS = 1_795_219_200_000 + DAY_MS // 2
"""Noon of the 21st of November 2026, UTC."""


def event(event_id: str, user: str = "u1", *, days: float = 0, **other) -> Event:
    defaults = {"type": "click", "item_id": "i1", "timestamp": NOON_MS + int(days * DAY_MS)}
    return Event(event_id=event_id, user_id=user, **(defaults | other))


class Filled:
    """What is in the streams of a Redis, and in the two logs."""

    def __init__(self, redis: Redis, events: Path, served: Path) -> None:
        self.redis, self.events, self.served = redis, events, served

    def add(self, *events: Event, entry_id: str = "*") -> None:
        for each in events:
            entry = {EVENT_FIELD: msgspec.json.encode(each)}
            self.redis.xadd(events_key(partition_of(each.user_id)), entry, id=entry_id)

    def add_served(self, *served: Served) -> None:
        for each in served:
            self.redis.xadd(SERVED_KEY, {SERVED_FIELD: msgspec.json.encode(each)})

    def logged(self) -> list[str]:
        """Event ids that a reader of `*.parquet` finds, in order."""
        files = sorted(self.events.glob("day=*/*.parquet"))
        return sorted(id for file in files for id in pl.read_parquet(file)["event_id"])

    def waiting(self) -> int:
        """Entries that are still in the streams."""
        return sum(self.redis.xlen(key) for key in self.redis.scan_iter("fw2:*") if self.is_stream(key))

    def is_stream(self, key: bytes) -> bool:
        return key.endswith(b":e") or key == SERVED_KEY.encode()

    def snapshot(self) -> dict[bytes, bytes]:
        return {key: self.redis.dump(key) for key in self.redis.scan_iter("fw2:*")}

    def restore(self, snapshot: dict[bytes, bytes]) -> None:
        """Redis as it was, streams with their bookmarks."""
        self.redis.flushall()
        for key, value in snapshot.items():
            self.redis.restore(key, 0, value)
