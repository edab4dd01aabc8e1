"""Filling the feature cache with histories from a log, safely while events keep coming."""

from collections.abc import Iterable
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from contracts.events import partition_of
from service.feature_cache import MARKER_KEY, key_of
from service.history import pack
from service.redis_clients import Client, script

_USERS_PER_CALL = 500
_PROGRESS_KEY = "fw2:filling"
"""A hash: partition -> name of what was written into it by a call that has not ended."""


class History(NamedTuple):
    """Item numbers and their times in milliseconds, newest last."""

    user_id: str
    numbers: np.ndarray
    times_ms: np.ndarray


def write_histories(
    redis: Client,
    histories: Iterable[History],
    *,
    longest: int,
    ttl_seconds: int,
    name: str = "",
    replace: bool = False,
) -> int:
    """Write histories of at most `longest` interactions, then the marker; return how many users.

    Safe while serving: a reader sees a user's old history or the new one, and what is newer in the cache, for it
    came as an event, stays behind what the log says unless told to `replace` it. It is quickest where the users of
    a partition come together. With the `name` of what is written they must: cut short and called with the same
    name again, this goes on with the partition that it was at.
    """
    write = redis.register_script(script("history", "write_histories"))
    done = {int(p) for p, of in redis.hgetall(_PROGRESS_KEY).items() if name and of == name.encode()}
    written = 0
    for partition, mine in groupby(histories, key=lambda history: partition_of(history.user_id)):
        while users := list(islice(mine, _USERS_PER_CALL)):
            written += len(users)
            if partition not in done:
                packed = [pack(one.numbers[-longest:], one.times_ms[-longest:]) for one in users]
                write(
                    keys=[key_of(one.user_id) for one in users],
                    args=[longest, ttl_seconds, "replace" if replace else "", *packed],
                )
        if name:
            redis.hset(_PROGRESS_KEY, str(partition), name)
    redis.set(MARKER_KEY, str(written))
    redis.delete(_PROGRESS_KEY)
    return written
