"""Recommendations for many users at once, without the service: the same encoding, the same ranking."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from contracts import durable
from contracts.encoding import Catalog
from contracts.faults import RunNotValid, UsageFault
from contracts.interaction import ITEM_ID, USER_ID
from contracts.progress import Progress, silent
from contracts.reasons import Reason, Source
from models.logs.log import Log
from service.feature_cache import RedisFeatureCache
from service.predictor import OnnxPredictor
from service.ranking import Query, rank

RANK, SCORE, SOURCE = "rank", "score", "source"
SCHEMA = {USER_ID: pl.String, RANK: pl.Int32, ITEM_ID: pl.String, SCORE: pl.Float32, SOURCE: pl.String}

_BATCH, _SCORES_AT_ONCE = 256, 1 << 24
_PATIENCE_MS = 10_000


def read_users(path: Path) -> list[str]:
    """User ids of a file: one per line, or the column `user_id` of a CSV or Parquet file.

    Raises `UsageFault` for a file that is none of these.
    """
    try:
        frame = _read_table(path)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise UsageFault(
            f"{path} cannot be read: {error}. Expected user ids, one per line, or a .csv or .parquet file with "
            f"the column {USER_ID}."
        ) from error
    if USER_ID not in frame.columns:
        raise UsageFault(f"{path} has the columns {', '.join(frame.columns)}; expected one called {USER_ID}.")
    users = frame[USER_ID].cast(pl.String)
    return [user for user in users if user]


def _read_table(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".csv":
        return pl.read_csv(path, infer_schema=False)
    return pl.DataFrame({USER_ID: path.read_text(encoding="utf-8").split("\n")})  # \r\n is read as \n


def histories_of_log(log: Log, users: Sequence[str], catalog: Catalog) -> list[list[int]]:
    """Item indices per user, newest last; empty for a user that the log does not know."""
    asked = log.frame.filter(pl.col(USER_ID).cast(pl.String).is_in(list(users)))
    known = dict(asked.group_by(USER_ID, maintain_order=True).agg(ITEM_ID).iter_rows())
    return [catalog.indices_of_ids(known.get(user, ())) for user in users]


def histories_of_cache(redis_url: str, users: Sequence[str], catalog: Catalog) -> list[list[int]]:
    """The same from the feature cache. Raises `RunNotValid` when it does not answer or is empty."""

    async def read() -> list:
        cache = RedisFeatureCache(redis_url, timeout_ms=_PATIENCE_MS)
        found = []
        for start in range(0, len(users), _BATCH):
            found += await cache.read(users[start : start + _BATCH])
        await cache.close()
        return found

    histories = asyncio.run(read())
    fault = next((history for history in histories if isinstance(history, Reason)), None)
    if fault:
        raise RunNotValid(
            f"the feature cache cannot be read: {fault}. Run `flyweight materialize`, or say --history."
        )
    return [[] if history is None else catalog.indices_of_numbers(history).tolist() for history in histories]


def recommend_to_parquet(
    predictor: OnnxPredictor,
    users: Sequence[str],
    histories: Sequence[Sequence[int]],
    k: int,
    out: Path,
    progress: Progress = silent,
) -> int:
    """Write `user_id, rank, item_id, score, source` (rank from 1) and return the number of rows.

    A user without a history in the catalog gets the popular list, as the service would answer, and
    `source` says so; its scores are null. To a popularity model every user is alike, so it answers them all.
    """
    item_ids = predictor.artifact.catalog.item_ids
    rows: dict[str, list] = {name: [] for name in SCHEMA}
    at_once = max(1, min(_BATCH, _SCORES_AT_ONCE // predictor.items))
    for start in range(0, len(users), at_once):
        asked = histories[start : start + at_once]
        for user, (items, scores, source) in zip(users[start:], _answer(predictor, asked, k), strict=False):
            rows[USER_ID] += [user] * len(items)
            rows[RANK] += range(1, len(items) + 1)
            rows[ITEM_ID] += [item_ids[item] for item in items]
            rows[SCORE] += scores
            rows[SOURCE] += [source] * len(items)
        progress("recommending", start + len(asked), len(users))
    frame = pl.DataFrame(rows, schema=SCHEMA)
    with durable.new_file(out) as path:
        frame.write_parquet(path)
    return len(frame)


def _answer(
    predictor: OnnxPredictor, histories: Sequence[Sequence[int]], k: int
) -> Iterator[tuple[list[int], list[float | None], str]]:
    manifest = predictor.artifact.manifest
    suits = [len(history) > 0 or manifest.rung == "popularity" for history in histories]
    popular = predictor.artifact.popular[:k].tolist()
    queries = [Query(history, k, policy=manifest.repeat_policy) for history in histories]
    rankings = iter(rank(predictor, [query for query, asked in zip(queries, suits, strict=True) if asked]))
    for asked in suits:
        if asked:
            ranking = next(rankings)
            yield ranking.items, ranking.scores, Source.MODEL.value
        else:
            yield popular, [None] * len(popular), Source.POPULAR.value
