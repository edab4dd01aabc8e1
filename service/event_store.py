"""Where events are recorded: in one step with what they change, or not at all.

    fw2:{pNN}:e                      the partition's stream (contracts/events.py)
    fw2:{pNN}:u:<user id>            the user's history (service/history.py)
    fw2:{pNN}:d:<slice>:<bucket>     fingerprints of event ids that came in half a window of time

A fingerprint is 63 bits of a hash, which Redis keeps in 8 bytes while a bucket holds at most 512: with its share
of the key 13 bytes, so a hundred events per second take 110 to 170 MB. Two ids of one bucket and window share a
fingerprint once in 10 ** 15 pairs.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from time import time
from typing import NamedTuple

import msgspec
from redis.exceptions import NoScriptError, RedisError

from contracts.events import Event, events_key, partition_of, tag_of
from service.errors import EventsUnavailable
from service.feature_cache import key_of
from service.redis_clients import AsyncClient, script

_BUCKETS = 1024
_SLICES = 3
"""Half windows in which an id is looked for: it is remembered for one window at least, one and a half at most."""


class Recordable(NamedTuple):
    """`number`: of the item, where the event is to become a part of the user's history."""

    event: Event
    number: int | None


class EventStore:
    """Records events in Redis. `dedup_seconds`: for how long an event that comes again is recognised."""

    def __init__(
        self,
        client: AsyncClient,
        *,
        history_length: int,
        ttl_seconds: int,
        dedup_seconds: int,
        timeout_seconds: float,
    ) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._history_length = history_length
        self._ttl_seconds = ttl_seconds
        self._slice_seconds = max(1, dedup_seconds // 2)
        self._script = script("history", "record_events")
        self._sha = hashlib.sha1(self._script.encode()).hexdigest()  # how Redis names a script

    async def record(self, recordables: Sequence[Recordable]) -> list[bool]:
        """For each event whether it was recorded; False: it had been before.

        Raises `EventsUnavailable` when Redis does not confirm all of them. Some may have been recorded then: the
        same event ids can be sent again without harm.
        """
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, (event, _) in enumerate(recordables):
            places[partition_of(event.user_id)].append(place)
        calls = [self._call(partition, [recordables[n] for n in mine]) for partition, mine in places.items()]
        replies = await self._evaluate(calls)
        recorded = [False] * len(recordables)
        for mine, reply in zip(places.values(), replies, strict=True):
            for place, answer in zip(mine, reply, strict=True):
                recorded[place] = answer == 1
        return recorded

    async def close(self) -> None:
        await self._client.aclose()

    def _call(self, partition: int, recordables: list[Recordable]) -> list:
        """The arguments of the script for one partition: number of keys, keys, values."""
        keys: list[str] = [events_key(partition)]
        values: list = [self._history_length, 1 + _SLICES, self._ttl_seconds, (_SLICES + 1) * self._slice_seconds]
        present = int(time()) // self._slice_seconds
        for event, number in recordables:
            fingerprint = _fingerprint(event.event_id)
            keys.append(key_of(event.user_id))
            bucket = fingerprint % _BUCKETS
            keys += [f"{tag_of(partition)}:d:{present - back}:{bucket}" for back in range(_SLICES)]
            values += [
                fingerprint, msgspec.json.encode(event), event.timestamp, "" if number is None else number,
            ]  # fmt: skip
        return [len(keys), *keys, *values]

    async def _evaluate(self, calls: list[list]) -> list[list[int]]:
        try:
            async with asyncio.timeout(self._timeout_seconds):  # the client's own limit is one per message
                replies = await self._execute(calls)
                if any(isinstance(reply, NoScriptError) for reply in replies):  # once per start of Redis
                    await self._client.script_load(self._script)
                    replies = await self._execute_again(calls, replies)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise _unavailable(reply) from reply
        return replies

    async def _execute(self, calls: list[list]) -> list:
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command("EVALSHA", self._sha, *call)
        return await pipeline.execute(raise_on_error=False)

    async def _execute_again(self, calls: list[list], replies: list) -> list:
        """Only those that were not executed: what was would now be called a duplicate."""
        missing = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        for n, reply in zip(missing, await self._execute([calls[n] for n in missing]), strict=True):
            replies[n] = reply
        return replies


def _fingerprint(event_id: str) -> int:
    digest = hashlib.blake2b(event_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _unavailable(error: Exception) -> EventsUnavailable:
    return EventsUnavailable(
        f"the events could not be recorded ({type(error).__name__}: {error}); send the same event_ids again, "
        "none will count twice"
    )
