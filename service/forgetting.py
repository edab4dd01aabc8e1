"""Forgetting a user: the history goes at once, what lies in the stream and in the log with the next ingest."""

import time

import msgspec

from contracts.events import FORGOTTEN_FIELD, Forgotten, events_key, partition_of
from service.feature_cache import key_of
from service.redis_clients import Client, script


def command_to_forget(user_id: str) -> tuple[str | bytes | int, ...]:
    """The Redis command that removes the user's history and appends a `Forgotten` to the partition's stream, in
    one step. It answers 1 where there was a history, else 0.

    `client.execute_command(*command_to_forget(user_id))` does it with every kind of client, blocking or not;
    both keys lie on one node of a cluster.
    """
    keys = events_key(partition_of(user_id)), key_of(user_id)
    entry = msgspec.json.encode(Forgotten(user_id, time.time_ns() // 1_000_000))
    return "EVAL", script("forget"), len(keys), *keys, FORGOTTEN_FIELD, entry


def forget(redis: Client, user_id: str) -> bool:
    """Do it now; say whether there was a history. Raises `redis.RedisError`: then do it again."""
    return bool(redis.execute_command(*command_to_forget(user_id)))
