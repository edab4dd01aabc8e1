"""The step that writes to Redis instead of files: materialize, into the embedded Redis of the state folder."""

import asyncio
from pathlib import Path

from contract_steps import number_items
from step import Step, View, digest
from verb_steps import run_verbs

SLOW = ("models.logs.log", "export.materialize", "service.embedded_redis")
USERS, OLD_USERS = 400, 300
MATERIALIZE = "materialize --interactions log.csv"


def write_log(folder: Path, *, users: int) -> None:
    """Every user with four items, which differ with the number of users."""
    items = {user: [(user * 7 + users + place) % 90 for place in range(4)] for user in range(users)}
    rows = [f"u{user},item {item},1700000000" for user, some in items.items() for item in some]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")


def build_numbers_and_log(folder: Path) -> None:
    number_items(folder / "artifacts", items=90)
    write_log(folder, users=USERS)


def build_an_older_cache(folder: Path) -> None:
    number_items(folder / "artifacts", items=90)
    write_log(folder, users=OLD_USERS)
    run_verbs(MATERIALIZE)(folder)
    write_log(folder, users=USERS)


def view_feature_cache(folder: Path) -> View:
    """What the service reads for every user, after a restart of Redis."""
    from service.embedded_redis import embedded_redis
    from service.feature_cache import RedisFeatureCache

    users = [f"u{user}" for user in range(USERS)]

    async def read(url: str) -> list:
        cache = RedisFeatureCache(url, timeout_ms=10_000)
        try:
            return await cache.read(users)
        finally:
            await cache.close()

    with embedded_redis(folder / ".flyweight") as url:
        readings = asyncio.run(read(url))
    return dict(zip(users, map(_describe, readings), strict=True))


def _describe(reading: object) -> str | None:
    """A history by its digest; a fault by its name; nothing for an unknown user."""
    return reading if reading is None or isinstance(reading, str) else digest(reading)


FEATURE_CACHE_STEPS = {
    "materialize": Step(
        build=build_numbers_and_log, act=run_verbs(MATERIALIZE), view=view_feature_cache, kills=3,
        slow=SLOW,
    ),
    "materialize again": Step(
        build=build_an_older_cache, act=run_verbs(MATERIALIZE), view=view_feature_cache, kills=3,
        slow=SLOW,
    ),
}  # fmt: skip
