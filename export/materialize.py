"""Filling the feature cache from a log: each user's newest interactions, as item numbers."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from redis.exceptions import RedisError

from contracts import durable, item_numbers
from contracts.artifact import Artifact
from contracts.events import partition_of
from contracts.faults import RunNotValid, UsageFault
from contracts.interaction import ITEM_ID, TIMESTAMP, USER_ID
from contracts.progress import Progress, silent
from contracts.sections import Settings
from export.memory_forecast import Forecast, forecast
from models.logs.log import Log
from service.filling import History, write_histories
from service.redis_clients import connect

_NUMBER = "item_number"
_PROGRESS_EVERY = 5000
TRAFFIC_VERSION = 2
_MOST_VISITS = 100_000


class Materialized(msgspec.Struct, frozen=True):
    users: int
    interactions: int
    without_number: int
    """Interactions with items that no training has seen: they have no number and stay out."""
    memory: Forecast | None = None


class TrafficUser(msgspec.Struct, frozen=True):
    user_id: str
    history: list[str]


class Traffic(msgspec.Struct, frozen=True):
    """What a black-box load test cannot know: the catalog, whom the feature cache knows, and when they came.

    `visits`: seconds since the first of them, place in `users`. See `loadtests.traffic`.
    """

    schema_version: int
    items: list[str]
    users: list[TrafficUser]
    visits: list[tuple[float, int]]


def materialize(
    log: Log, settings: Settings, redis_url: str, progress: Progress = silent, *, replace: bool = False
) -> Materialized:
    """Write the newest `history-length` interactions of every user, then the marker. Safe while serving.

    Newer events of the feature cache stay, unless it shall `replace` them. Raises `RunNotValid` when the feature
    cache does not take them.
    """
    table = item_numbers.load(settings.paths.artifacts)
    if not table:
        raise UsageFault(
            f"{settings.paths.artifacts / item_numbers.FILE_NAME} holds no item yet, so no interaction could be "
            "written. Run `flyweight train` and `flyweight export` first."
        )
    number_of_code = np.array([table.get(item, -1) for item in log.item_ids])
    numbers = number_of_code[log.frame[ITEM_ID].to_physical().to_numpy()]
    known = log.frame.select(USER_ID, TIMESTAMP, pl.Series(_NUMBER, numbers)).filter(pl.col(_NUMBER) >= 0)
    longest = settings.features.history_length
    histories = _newest(known, (_NUMBER, TIMESTAMP), longest)
    partitions = pl.Series("partition", [partition_of(user) for user in histories[USER_ID]], dtype=pl.Int64)
    histories = histories.with_columns(partitions).sort("partition", maintain_order=True)
    name = f"{known.hash_rows(seed=1).sum()}-{longest}"
    rows = _rows(histories, progress)
    users, memory = fill_feature_cache(redis_url, rows, len(table), settings, name=name, replace=replace)
    written = int(histories[_NUMBER].list.len().sum() or 0)
    return Materialized(users, written, len(log.frame) - len(known), memory)


def fill_feature_cache(
    redis_url: str, rows: Iterable[History], items: int, settings: Settings, **how: object
) -> tuple[int, Forecast | None]:
    """Write histories, then the marker; return how many users, and the memory they take. `items`: of the catalog.

    `how`: `name` and `replace` of `service.filling.write_histories`. Raises `RunNotValid` when the feature cache
    does not take them.
    """
    features = settings.features
    try:
        with connect(redis_url, cluster=features.cluster) as redis:
            lasting = {"longest": features.history_length, "ttl_seconds": features.ttl_days * 24 * 3600}
            users = write_histories(redis, rows, **lasting, **how)
            return users, forecast(redis, items, settings)
    except (RedisError, OSError) as error:
        raise RunNotValid(
            f"the feature cache cannot be filled: {error}. Check that the Redis of REDIS_URL runs and has room, "
            "and run `flyweight materialize` again: it goes on where it was."
        ) from error


def write_traffic(log: Log, artifact: Artifact, history_length: int, out: Path) -> Traffic:
    """Write the file that `flyweight loadtest --traffic` reads: ids only, as a client knows them.

    Users come with the longest history first: who did most asks most.
    """
    histories = _newest(log.frame.select(USER_ID, ITEM_ID), (ITEM_ID,), history_length)
    users = [TrafficUser(user_id, history) for user_id, history in histories.iter_rows()]
    users.sort(key=lambda user: -len(user.history))
    traffic = Traffic(TRAFFIC_VERSION, list(artifact.catalog.item_ids), users, _visits(log, users))
    durable.write_bytes(out, msgspec.json.encode(traffic))
    return traffic


def _visits(log: Log, users: list[TrafficUser]) -> list[tuple[float, int]]:
    """The newest interactions of the log, as moments at which somebody came."""
    place = {user.user_id: n for n, user in enumerate(users)}
    newest = log.frame.select(TIMESTAMP, USER_ID).tail(_MOST_VISITS)
    moments = (newest[TIMESTAMP] - newest[TIMESTAMP].min()) / 1000
    return [(float(moment), place[user]) for moment, user in zip(moments, newest[USER_ID], strict=True)]


def _newest(interactions: pl.DataFrame, columns: Sequence[str], length: int) -> pl.DataFrame:
    """One row per user, in order of user id: the newest `length` values of each column, newest last."""
    return interactions.group_by(USER_ID, maintain_order=True).agg(pl.col(*columns).tail(length)).sort(USER_ID)


def _rows(histories: pl.DataFrame, progress: Progress) -> Iterator[History]:
    numbers, times_ms = histories[_NUMBER], histories[TIMESTAMP]
    for row, user_id in enumerate(histories[USER_ID]):
        yield History(user_id, numbers[row].to_numpy(), times_ms[row].to_numpy())
        if row % _PROGRESS_EVERY == 0:
            progress("filling the feature cache", row, len(histories))
    progress("filling the feature cache", len(histories), len(histories))
