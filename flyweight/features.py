"""Where the features are: the Redis that a verb works with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contracts.faults import RunNotValid
from contracts.sections import Settings

if TYPE_CHECKING:
    from service.redis_clients import Client


def feature_cache_name(settings: Settings) -> str:
    """In words."""
    return "the Redis of REDIS_URL" if settings.features.redis_url else "the embedded Redis"


@contextmanager
def feature_cache_url(settings: Settings) -> Iterator[str]:
    """REDIS_URL, or the embedded Redis: the one that a service runs, else one of our own for the moment."""
    from service.embedded_redis import embedded_redis

    if settings.features.redis_url:
        yield settings.features.redis_url
    else:
        with embedded_redis(settings.paths.state) as url:
            yield url


@contextmanager
def feature_cache_client(settings: Settings) -> "Iterator[Client]":
    """A client of that Redis. Raises `RunNotValid` for a cluster that does not answer."""
    from redis.exceptions import RedisClusterException

    from service.redis_clients import connect

    with feature_cache_url(settings) as url:
        try:
            client = connect(url, cluster=settings.features.cluster)
        except RedisClusterException as error:  # a single server is asked when it is first needed
            raise RunNotValid(f"{url} is no Redis Cluster that answers: {error}") from error
        with client:
            yield client
