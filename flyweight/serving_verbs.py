"""Verbs about serving: materialize, serve, ask, recommend."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.faults import UsageFault
from flyweight.features import feature_cache_name, feature_cache_url
from flyweight.load_verbs import default_url
from flyweight.verb import A_PATH, THERE, Desk, Outcome, verb

if TYPE_CHECKING:  # what reads logs is imported when a verb is called
    from export.materialize import Materialized, Traffic

URL = click.option("--url", metavar="URL", help="The service; default: where [service] says.")


@verb()
@click.option("--interactions", type=THERE, metavar="FILE", help="CSV, CSV.gz, Parquet, or a folder.")
@click.option(
    "--synthetic", type=click.IntRange(1), metavar="USERS", help="Instead: users made up for load tests."
)
@click.option("--traffic", type=A_PATH, metavar="FILE", help="Also write what a load test must know.")
@click.option("--replace", is_flag=True, help="Drop what the cache has of these users beyond the log.")
def materialize(
    desk: Desk, interactions: Path | None, synthetic: int | None, traffic: Path | None, replace: bool
) -> Outcome:
    """Fill the feature cache from a log: the newest interactions of every user. Safe while serving.

    Events that came after the log ended stay, unless told to --replace them.
    """
    if (interactions is None) == (synthetic is None):
        raise UsageFault("found both --interactions and --synthetic, or neither; expected one of them.")
    if interactions:
        filled, known = _from_log(desk, interactions, traffic, replace)
    else:
        filled, known = _made_up(desk, synthetic, traffic)
    where = feature_cache_name(desk.settings)
    desk.out.wrote(where, f"{filled.users:,} users, {filled.interactions:,} interactions")
    if filled.memory:
        desk.out.say(f"       {filled.memory.render()}")
    if filled.without_number:
        desk.out.say(
            f"       left out: {filled.without_number:,} interactions with items that no training has seen"
        )
    if known:
        desk.out.wrote(traffic, f"{len(known.users):,} users, {len(known.items):,} items for load tests")
    return Outcome(filled)


def _from_log(
    desk: Desk, interactions: Path, traffic: Path | None, replace: bool
) -> "tuple[Materialized, Traffic | None]":
    from contracts.pointer import POINTER, find_artifact
    from export.materialize import materialize as fill
    from export.materialize import write_traffic
    from models.logs.log import read_log

    settings = desk.settings
    promoted = find_artifact(settings.paths.artifacts, POINTER) if traffic else None
    log = read_log(interactions, settings.log, progress=desk.out.progress)
    desk.out.read(interactions, f"{len(log.frame):,} interactions")
    with feature_cache_url(settings) as url:
        filled = fill(log, settings, url, desk.out.progress, replace=replace)
    if not promoted:
        return filled, None
    return filled, write_traffic(log, promoted, settings.features.history_length, traffic)


def _made_up(desk: Desk, users: int, traffic: Path | None) -> "tuple[Materialized, Traffic | None]":
    from contracts.pointer import POINTER, find_artifact
    from export.synthetic_traffic import materialize_synthetic

    promoted = find_artifact(desk.settings.paths.artifacts, POINTER)
    with feature_cache_url(desk.settings) as url:
        return materialize_synthetic(promoted, users, desk.settings, url, traffic, desk.out.progress)


@verb(flags={"port": ("service", "port"), "host": ("service", "host"), "workers": ("service", "workers")})
@click.option("--host", metavar="ADDRESS", help="Default 127.0.0.1; 0.0.0.0 listens outside this machine.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default 3000.")
@click.option("--workers", type=click.IntRange(0), help="Processes; default one per core.")
def serve(desk: Desk) -> Outcome:
    """Serve the promoted artifact over HTTP until Ctrl-C or SIGTERM.

    Without REDIS_URL it starts a Redis of its own in the state folder and stops it at the end.
    """
    from service.serving import serve as serve_until_stopped

    return Outcome({}, serve_until_stopped(desk.settings))


@verb()
@click.argument("users", nargs=-1, metavar="[USER]...")
@URL
@click.option("--history", metavar="ITEM,ITEM", help="Ask anonymously with these item ids, newest last.")
@click.option("--k", type=click.IntRange(1, 500), default=5, show_default=True)
@click.option("--wait", type=click.FloatRange(0), default=0, metavar="SECONDS", help="Until the service is ready.")
def ask(desk: Desk, users: tuple[str, ...], url: str | None, history: str | None, k: int, wait: float) -> Outcome:
    """Ask a running service and show its answers, with the titles of the promoted artifact."""
    from flyweight.asking import ask_all, await_ready, show_answer, titles_of_promoted

    base = url or default_url(desk.settings)
    await_ready(base, wait)
    questions = [{"user_id": user, "k": k} for user in users]
    if history:
        questions.append({"history": history.split(","), "k": k})
    answers = ask_all(base, questions)
    titles = titles_of_promoted(desk.settings, {item.item_id for answer in answers for item in answer.items})
    for question, answer in zip(questions, answers, strict=True):
        desk.out.say(show_answer(question, answer, titles))
    return Outcome({"answers": answers})


@verb()
@click.argument("artifact", default="promoted")
@click.option("--users", type=THERE, required=True, metavar="FILE", help="User ids: one per line, or CSV/Parquet.")
@click.option("--history", type=THERE, metavar="LOG", help="Histories from this log; default: the feature cache.")
@click.option("--k", type=click.IntRange(1, 500), default=10, show_default=True)
@click.option("--out", type=A_PATH, required=True, metavar="PARQUET", help="File to write.")
def recommend(desk: Desk, artifact: str, users: Path, history: Path | None, k: int, out: Path) -> Outcome:
    """Recommend for many users at once, without the service, into a Parquet file."""
    from contracts.machine import cores
    from contracts.pointer import find_artifact
    from export.recommendation import histories_of_cache, histories_of_log, read_users, recommend_to_parquet
    from models.logs.log import read_log
    from service.predictor import OnnxPredictor

    found = find_artifact(desk.settings.paths.artifacts, artifact)
    asked = read_users(users)
    desk.out.read(users, f"{len(asked):,} users")
    if history:
        log = read_log(history, desk.settings.log, progress=desk.out.progress)
        histories = histories_of_log(log, asked, found.catalog)
    else:
        with feature_cache_url(desk.settings) as url:
            histories = histories_of_cache(url, asked, found.catalog)
    rows = recommend_to_parquet(OnnxPredictor(found, threads=cores()), asked, histories, k, out, desk.out.progress)
    desk.out.wrote(out, f"{rows:,} recommendations by {found.name} {found.version}")
    return Outcome({"users": len(asked), "rows": rows, "artifact": found.name, "version": found.version})
