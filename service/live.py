"""What a worker does with Redis beside reading features: events, what is trending, notes of what was served."""

from collections.abc import Coroutine

from contracts.sections import Settings
from service.event_store import EventStore
from service.events import EventRecorder
from service.redis_clients import AsyncClient
from service.rollout import Rollout
from service.served_notes import ServedNotes
from service.trending import Trending

_DAY_SECONDS, _HOUR_SECONDS = 24 * 3600, 3600


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
        )
        self.recorder = EventRecorder(settings, rollout, store, self.trending)

    def follow(self) -> tuple[Coroutine, ...]:
        """What runs beside the requests, for ever."""
        return self.trending.follow(), self.notes.follow()

    async def close(self) -> None:
        """Write the last notes, where that takes no time, and leave."""
        await self.notes.write()
        await self._redis.aclose()
