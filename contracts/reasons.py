"""Why an answer is what it is: a closed list. Telemetry counts it, goodput excludes what is degraded."""

from enum import StrEnum


class Source(StrEnum):
    """Where the items of an answer come from."""

    MODEL = "model"
    POPULAR = "popular"
    TRENDING = "trending"


class Reason(StrEnum):
    """Why this source answered. The first three are by design, the others are faults."""

    OK = "ok"
    COLD_USER = "cold_user"
    UNKNOWN_ITEMS = "unknown_items"
    FEATURE_CACHE_DOWN = "feature_cache_down"
    FEATURE_CACHE_TIMEOUT = "feature_cache_timeout"
    FEATURE_CACHE_EMPTY = "feature_cache_empty"
    DEADLINE = "deadline"
    MODEL_UNAVAILABLE = "model_unavailable"

    @property
    def degraded(self) -> bool:
        """Whether a fault weakened the answer. A cold user is not a fault."""
        return self not in (Reason.OK, Reason.COLD_USER, Reason.UNKNOWN_ITEMS)
