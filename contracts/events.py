"""What happened, as it lies in the feature cache's streams until `flyweight ingest` makes it part of the log.

    fw2:{pNN}:e    a stream per partition of the users; each entry has one field:
                   e  an `Event`         f  a `Forgotten`: nothing of that user before it may stay
    fw2:served     a stream of what was recommended, sampled; one field:  s  a `Served`

All three are JSON. Streams hold ids, never item numbers, and times in milliseconds since 1970 (UTC). A user's
events, history and duplicates share the partition's hash tag, so that one script changes them together, on a
Redis Cluster too.
"""

import zlib

import msgspec

PARTITIONS = 64
SERVED_KEY = "fw2:served"
EVENT_FIELD, FORGOTTEN_FIELD, SERVED_FIELD = b"e", b"f", b"s"


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """`timestamp`: milliseconds. `request_id` and `position` (from 1) say which recommendation it answers."""

    event_id: str
    type: str
    user_id: str
    item_id: str
    timestamp: int
    request_id: str | None = None
    position: int | None = None
    value: float | None = None


class Forgotten(msgspec.Struct, gc=False):
    """`timestamp`: when it was asked for, in milliseconds."""

    user_id: str
    timestamp: int


class Served(msgspec.Struct, gc=False):
    """`variant` as in sasrec:int8-dynamic; `items`: ids, best first."""

    request_id: str
    timestamp: int
    variant: str
    version: str
    items: list[str]


def partition_of(user_id: str) -> int:
    return zlib.crc32(user_id.encode()) % PARTITIONS


def tag_of(partition: int) -> str:
    """What every key of a partition begins with; the braces keep them on one node of a cluster."""
    return f"fw2:{{p{partition:02d}}}"


def events_key(partition: int) -> str:
    return f"{tag_of(partition)}:e"
