"""What a worker does with Redis beside reading features: events, what is trending, notes of what was served."""

from collections.abc import Coroutine

import msgspec
from redis.exceptions import RedisError

from contracts.interaction import MAX_ID_LENGTH
from contracts.sections import Settings
from service.errors import EventsUnavailable, InvalidRequest
from service.event_store import EventStore
from service.events import EventRecorder
from service.forgetting import command_to_forget
from service.redis_clients import AsyncClient
from service.rollout import Rollout
from service.served_notes import ServedNotes
from service.stream_depth import StreamDepth
from service.trending import Trending

_DAY_SECONDS, _HOUR_SECONDS = 24 * 3600, 3600


class Forgetting(msgspec.Struct):
    """The body of a 202 from DELETE /users/{user_id}."""

    request_id: str
    had_history: bool


class Live:
    """All of it on one client, which needs no Redis to be made: whoever asks finds out whether it is there."""

    def __init__(self, settings: Settings, rollout: Rollout, redis: AsyncClient) -> None:
        events, features = settings.events, settings.features
        self._redis = redis
        self.trending = Trending(redis, minutes=events.trending_minutes, least=events.trending_from)
        self.notes = ServedNotes(redis, percent=events.served_percent, kept=events.served_kept)
        store = EventStore(
            redis,
            history_length=features.history_length,
            ttl_seconds=features.ttl_days * _DAY_SECONDS,
            dedup_seconds=events.dedup_hours * _HOUR_SECONDS,
            timeout_seconds=events.timeout_ms / 1000,
        )
        self._depth = StreamDepth(redis)
        self.recorder = EventRecorder(settings, rollout, store, self.trending)

    def follow(self) -> tuple[Coroutine, ...]:
        """What runs beside the requests, for ever."""
        return self.trending.follow(), self.notes.follow(), self._depth.follow()

    async def forget(self, user_id: str, request_id: str) -> Forgetting:
        """Remove a user's history, and mark that nothing older may stay. Raises `EventsUnavailable`, and
        `InvalidRequest` for what can be no user id."""
        if not 1 <= len(user_id) <= MAX_ID_LENGTH:
            found = f"found a user id of {len(user_id)} characters, expected 1 to {MAX_ID_LENGTH}"
            raise InvalidRequest(found, "user_id")
        try:
            had_history = await self._redis.execute_command(*command_to_forget(user_id))
        except (RedisError, OSError, TimeoutError) as error:
            raise EventsUnavailable(f"the user could not be forgotten ({error}); ask again") from error
        return Forgetting(request_id, bool(had_history))

    async def close(self) -> None:
        """Write the last notes, where that takes no time, and leave."""
        await self.notes.write()
        await self._redis.aclose()
