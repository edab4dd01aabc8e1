"""Verbs about events: ingest, forget."""

import time
from typing import TYPE_CHECKING

import click

from contracts.faults import RunNotValid, UsageFault
from contracts.interaction import MAX_ID_LENGTH
from flyweight.features import feature_cache_client, feature_cache_name
from flyweight.verb import Desk, Outcome, verb

if TYPE_CHECKING:  # polars is imported when a verb is called
    from export.ingest import Ingested


@verb()
@click.option("--follow", type=click.FloatRange(0.1), metavar="SECONDS", help="Again and again, with this pause.")
def ingest(desk: Desk, follow: float | None) -> Outcome:
    """Bring what users did from the streams into the log: Parquet by day, every event once.

    Then `--interactions events` trains on it. Killed at any moment, it goes on where it stopped.
    """
    found = _ingest_once(desk, wait=False)
    _tell(desk, found)
    while follow:
        time.sleep(follow)
        try:
            found = _ingest_once(desk, wait=True)
        except RunNotValid as fault:  # Redis restarts, a disk is full for a while: whoever follows stays
            desk.out.say(f"flyweight: {fault} Trying again in {follow:g} s.")
            continue
        if found.commits or found.resumed:
            _tell(desk, found)
    return Outcome(found)


@verb()
@click.argument("users", nargs=-1, required=True, metavar="USER...")
def forget(desk: Desk, users: tuple[str, ...]) -> Outcome:
    """Delete users' histories now, and with the next `flyweight ingest` every event of theirs."""
    from redis.exceptions import RedisError

    from service.forgetting import forget as forget_user

    if not all(0 < len(user) <= MAX_ID_LENGTH for user in users):
        raise UsageFault(f"found a user id that is empty or longer than {MAX_ID_LENGTH} characters.")
    had_history = {}
    try:
        with feature_cache_client(desk.settings) as redis:
            for user in users:
                had_history[user] = forget_user(redis, user)
                said = "history deleted" if had_history[user] else "no history found"
                desk.out.say(f"{user}: {said}; events go with the next `flyweight ingest`")
    except RedisError as error:
        raise RunNotValid(
            f"not everybody could be forgotten: {error}. Check that the Redis of REDIS_URL runs, then say it "
            "again."
        ) from error
    return Outcome({"users": had_history})


def _ingest_once(desk: Desk, *, wait: bool) -> "Ingested":
    from export.ingest import ingest as ingest_streams

    with feature_cache_client(desk.settings) as redis:
        return ingest_streams(redis, desk.settings, desk.out.progress, wait=wait)


def _tell(desk: Desk, found: "Ingested") -> None:
    from export.ingest import REFUSED_FOLDER

    paths = desk.settings.paths
    if found.resumed:
        desk.out.say("       finished what an earlier ingest had begun")
    where = feature_cache_name(desk.settings)
    desk.out.read(where, f"{found.events + found.duplicates:,} events, {found.served:,} served lists")
    span = " to ".join(dict.fromkeys((*found.days[:1], *found.days[-1:])))
    days = f", {len(found.days):,} days: {span}" if found.days else ""
    desk.out.wrote(paths.events, f"{found.events:,} events{days} ({found.seconds:.1f} s)")
    if found.duplicates:
        desk.out.say(f"       left out: {found.duplicates:,} duplicates")
    if found.forgotten:
        desk.out.say(f"       forgotten: {found.forgotten:,} users, {found.erased:,} events of theirs erased")
    if found.refused:
        desk.out.say(f"       cannot be read: {found.refused:,} entries, kept in {paths.events / REFUSED_FOLDER}")
    if found.served:
        desk.out.wrote(paths.served, f"{found.served:,} served lists")
