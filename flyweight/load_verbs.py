"""The verb about load: one scenario, the capacity, or several artifacts side by side."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from contracts.faults import UsageFault
from contracts.sections import Settings
from flyweight.interrupts import ended_by_signals
from flyweight.rating import Wish, compare_artifacts, find_capacity
from flyweight.verb import A_PATH, Desk, Outcome, verb

if TYPE_CHECKING:  # what loads locust's neighbours is imported when a verb is called
    from loadtests.order import Order

_FLAGS = {
    "rate": ("loadtest", "rate"),
    "connections": ("loadtest", "connections"),
    "events_rate": ("loadtest", "events-rate"),
    "retries": ("loadtest", "retries"),
}


@verb(flags=_FLAGS)
@click.option("--url", metavar="URL", help="The service; default: where [service] says.")
@click.option("--traffic", type=A_PATH, metavar="FILE", help="Written by `flyweight materialize --traffic`.")
@click.option("--scenario", default="server", show_default=True, help="One of those under loadtests/scenarios/.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Requests per second; default: [loadtest].")
@click.option(
    "--seconds", type=click.IntRange(1), help="Of each run. Default: [loadtest] duration-seconds, soak-seconds."
)
@click.option("--connections", type=click.IntRange(1), help="Who ask in turn, where a scenario is closed.")
@click.option(
    "--replay", type=click.FloatRange(0, min_open=True), help="As users came once, so many times faster."
)
@click.option(
    "--at", "hooks", type=(float, str), multiple=True, metavar="SECONDS COMMAND", help="Run a command then."
)
@click.option("--events-rate", type=click.FloatRange(0, min_open=True), help="Calls of /events per second.")
@click.option("--retry-events", is_flag=True, help="Send refused events again, with the same ids.")
@click.option("--retries", type=click.IntRange(0), help="Of a request that got no answer; default: 0.")
@click.option("--down", metavar="COMMAND", help="Scenario redis-outage: run after a third of the time.")
@click.option("--up", metavar="COMMAND", help="And after two thirds.")
@click.option("--promote", metavar="COMMAND", help="Scenario rollout: run in the middle.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Of the generator.")
@click.option("--capacity", is_flag=True, help="Search the highest rate that keeps the SLO.")
@click.option(
    "--compare", metavar="NAME,NAME,…", help="The capacity of these artifacts, each in a service of its own."
)
@click.option("--target-rate", type=click.FloatRange(0, min_open=True), help="Requests per second to plan for.")
@click.option(
    "--headroom", type=click.FloatRange(0, 0.95), default=0.3, show_default=True, help="Share kept free."
)
@click.option("--price", type=click.FloatRange(0), help="Of a vCPU-hour, in whatever currency.")
def loadtest(
    desk: Desk,
    url: str | None,
    traffic: Path | None,
    scenario: str,
    seconds: int | None,
    replay: float | None,
    hooks: tuple[tuple[float, str], ...],
    retry_events: bool,
    down: str | None,
    up: str | None,
    promote: str | None,
    processes: int,
    capacity: bool,
    compare: str | None,
    target_rate: float | None,
    headroom: float,
    price: float | None,
) -> Outcome:
    """Load a running service and hold it against the SLO of flyweight.toml.

    Exit code 1 when the SLO is missed, 3 when the run was not valid and gives no figure. With --capacity or
    --compare: 1 when no rate keeps the SLO.
    """
    from loadtests.event_options import EventOptions
    from loadtests.order import Order

    if seconds:
        desk = replace(desk, settings=_lasting(desk.settings, seconds))
    events = EventOptions(retry_events, down=down, up=up, promote=promote)
    order = Order(url or default_url(desk.settings), scenario, traffic, replay, hooks, processes, events)
    wish = Wish(target_rate, headroom, price)
    with ended_by_signals():
        return _rate(desk, order, compare, wish) if capacity or compare else _play(desk, order)


def _rate(desk: Desk, order: "Order", compare: str | None, wish: Wish) -> Outcome:
    if order.scenario != "server" or order.replay_speed:
        raise UsageFault("a capacity is searched with Poisson arrivals: --scenario server, and no --replay.")
    if compare:
        return compare_artifacts(desk, order, compare.split(","), wish)
    return find_capacity(desk, order, wish)


def _lasting(settings: Settings, seconds: int) -> Settings:
    """A run takes so long, whatever its scenario."""
    loadtest = msgspec.structs.replace(settings.loadtest, duration_seconds=seconds, soak_seconds=seconds)
    return msgspec.structs.replace(settings, loadtest=loadtest)


def default_url(settings: Settings) -> str:
    return f"http://{settings.service.host}:{settings.service.port}"


def _play(desk: Desk, order: "Order") -> Outcome:
    from loadtests.report import write_report
    from loadtests.run import run
    from loadtests.wording import render

    out = desk.settings.paths.reports / "loadtest"
    verdict = run(order, desk.settings, out, desk.out.watch)
    desk.out.say(render(verdict))
    write_report(verdict, out / "report.html")
    desk.out.wrote(out / "report.html", "the report, for a browser")
    return Outcome(verdict, verdict.exit_code)
