"""The verb about load: one scenario, the capacity, or several artifacts side by side."""

import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.artifact import Artifact
from contracts.sections import Settings
from flyweight.verb import A_PATH, Desk, Outcome, verb

if TYPE_CHECKING:  # what loads locust's neighbours is imported when a verb is called
    from loadtests.capacity import Capacity
    from loadtests.comparison import Compared
    from loadtests.run import Order
    from loadtests.sizing import Sizing
    from loadtests.trials import Told

_FLAGS = {
    "seconds": ("loadtest", "duration-seconds"),
    "rate": ("loadtest", "rate"),
    "connections": ("loadtest", "connections"),
}


@dataclass(frozen=True)
class Wish:
    """What is planned for: requests per second, the share kept free, the price of a vCPU-hour."""

    target_rate: float | None
    headroom: float
    price: float | None


@verb(flags=_FLAGS)
@click.option("--url", metavar="URL", help="The service; default: where [service] says.")
@click.option("--traffic", type=A_PATH, metavar="FILE", help="Written by `flyweight materialize --traffic`.")
@click.option("--scenario", default="server", show_default=True, help="One of those under loadtests/scenarios/.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Requests per second; default: [loadtest].")
@click.option("--seconds", type=click.IntRange(1), help="Of each run. Default: [loadtest] duration-seconds.")
@click.option("--connections", type=click.IntRange(1), help="Who ask in turn, where a scenario is closed.")
@click.option(
    "--replay", type=click.FloatRange(0, min_open=True), help="As users came once, so many times faster."
)
@click.option(
    "--at", "hooks", type=(float, str), multiple=True, metavar="SECONDS COMMAND", help="Run a command then."
)
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
    replay: float | None,
    hooks: tuple[tuple[float, str], ...],
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
    from loadtests.run import Order

    order = Order(url or default_url(desk.settings), scenario, traffic, replay, hooks, processes)
    wish = Wish(target_rate, headroom, price)
    if compare:
        return _compare(desk, order, compare.split(","), wish)
    if capacity:
        return _find_capacity(desk, order, wish)
    return _play(desk, order)


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


def _size(capacity: "Capacity", wish: Wish) -> "Sizing | None":
    from contracts.machine import cores
    from loadtests.sizing import size

    if capacity.rate is None or wish.target_rate is None:
        return None
    return size(wish.target_rate, capacity.rate, cores(), headroom=wish.headroom, price=wish.price)


def _size_by_cpu(capacity: "Capacity", wish: Wish) -> "Sizing | None":
    """The same measure for all that are compared, also those that the generator could not bring to their end."""
    from contracts.machine import cores
    from loadtests.sizing import size_by_cpu

    if capacity.cpu_us is None or wish.target_rate is None:
        return None
    return size_by_cpu(wish.target_rate, capacity.cpu_us, cores(), headroom=wish.headroom, price=wish.price)


def _find_capacity(desk: Desk, order: "Order", wish: Wish) -> Outcome:
    from contracts.machine import cores
    from loadtests.capacity import search
    from loadtests.capacity_words import render
    from loadtests.trials import find_capacities

    settings = desk.settings
    searches = {"": search(settings.loadtest.rate, random.Random())}
    capacity = find_capacities(searches, {"": order}, settings, _teller(desk))[""]
    sizing = _size(capacity, wish)
    desk.out.say(render(capacity, settings.slo, order.url, cores(), sizing))
    return Outcome({"capacity": capacity, "sizing": sizing}, 0 if capacity.rate else 1)


def _compare(desk: Desk, order: "Order", names: list[str], wish: Wish) -> Outcome:
    """Each artifact in a service of its own, all of them up at once, asked in turn."""
    from contracts.pointer import find_artifact
    from flyweight.features import feature_cache_url
    from flyweight.load_tables import comparison_table
    from flyweight.standing import standing
    from loadtests.capacity import search
    from loadtests.trials import find_capacities

    settings = desk.settings
    artifacts = {name: find_artifact(settings.paths.artifacts, name) for name in names}
    with ExitStack() as stack:
        redis_url = stack.enter_context(feature_cache_url(settings))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        orders = {}
        for number, (name, artifact) in enumerate(artifacts.items()):
            url = stack.enter_context(standing(artifact, settings, redis_url, scratch / str(number)))
            orders[name] = replace(order, url=url)
            desk.out.say(f"{name} {artifact.version} on {url}")
        luck = random.Random()
        searches = {name: search(settings.loadtest.rate, luck) for name in names}
        capacities = find_capacities(searches, orders, settings, _teller(desk))
    compared = [_compared(artifacts[name], capacities[name], wish) for name in names]
    desk.out.say(comparison_table(compared))
    return Outcome(compared, 0 if all(one.capacity.rate for one in compared) else 1)


def _compared(artifact: Artifact, capacity: "Capacity", wish: Wish) -> "Compared":
    from export.measuring.measured import Candidate, read_measured
    from loadtests.comparison import Compared

    measured = read_measured(artifact)
    quality = Candidate(artifact, measured).quality if measured else None
    return Compared(
        name=artifact.name,
        version=artifact.version,
        metric=measured.metric if measured else "quality",
        quality=quality.value if quality else None,
        interval=(quality.low, quality.high) if quality else None,
        capacity=capacity,
        sizing=_size_by_cpu(capacity, wish),
    )


def _teller(desk: Desk) -> Callable[["Told"], None]:
    from loadtests.capacity_words import render_probe

    return lambda told: desk.out.say(f"{told.count:3}  {told.name:24} {render_probe(told.probe)}")
