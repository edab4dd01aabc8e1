"""Where the features are: the Redis that a verb works with."""

from collections.abc import Iterator
from contextlib import contextmanager

from contracts.sections import Settings


@contextmanager
def feature_cache_url(settings: Settings) -> Iterator[str]:
    """REDIS_URL, or the embedded Redis: the one that a service runs, else one of our own for the moment."""
    from service.embedded_redis import embedded_redis

    if settings.features.redis_url:
        yield settings.features.redis_url
    else:
        with embedded_redis(settings.paths.state) as url:
            yield url
