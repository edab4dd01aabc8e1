"""How much memory Redis needs, from what it needs now: users, event ids, what is trending."""

from itertools import islice

import msgspec

from contracts.sections import Settings
from service.redis_clients import Client

_SAMPLE = 1000
_BESIDE_A_KEY_BYTES = 40
"""What MEMORY USAGE leaves out: the place of the key's expiry, and its share of both hash tables."""
_EVENT_ID_BYTES = 13
"""Of one fingerprint where a hundred events come per second, its share of the set's key included (measured)."""
_LONGEST_WINDOW = 1.5
_COUNTED_ITEM_BYTES = 110
"""Of an item in a sorted set (measured)."""
_WINDOWS, _WINDOWS_A_TIME = 24, 12
_MB = 1e6
_DAY_MINUTES = 24 * 60


class Forecast(msgspec.Struct, frozen=True):
    """Megabytes (10 ** 6 bytes). `event_ids_mb`, `trending_mb`: for a million events a day; the latter at most."""

    bytes_per_user: float
    million_users_mb: float
    event_ids_mb: float
    trending_mb: float

    def render(self) -> str:
        return (
            f"memory {self.bytes_per_user:,.0f} bytes of Redis per user: {self.million_users_mb:,.0f} MB for a "
            f"million such users; for a million events a day {self.event_ids_mb:,.0f} MB to know their ids "
            f"and at most {self.trending_mb:,.1f} MB for what is trending"
        )


def forecast(redis: Client, items: int, settings: Settings) -> Forecast | None:
    """From a sample of the users in the feature cache; None when there is none. `items`: of the catalog."""
    keys = islice(redis.scan_iter(match="fw2:{p*}:u:*", count=_SAMPLE), _SAMPLE)
    sizes = [size for key in keys if (size := redis.memory_usage(key, samples=0))]
    if not sizes:
        return None
    per_user = sum(sizes) / len(sizes) + _BESIDE_A_KEY_BYTES
    counted = min(items, 1e6 * settings.events.trending_minutes / _WINDOWS_A_TIME / _DAY_MINUTES)
    days = _LONGEST_WINDOW * settings.events.dedup_hours / 24
    return Forecast(
        bytes_per_user=per_user,
        million_users_mb=per_user * 1e6 / _MB,
        event_ids_mb=days * _EVENT_ID_BYTES * 1e6 / _MB,
        trending_mb=_WINDOWS * counted * _COUNTED_ITEM_BYTES / _MB,
    )
