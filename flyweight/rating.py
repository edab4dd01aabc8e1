"""Capacities in machines and money: of the service that runs, or of artifacts side by side."""

import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts import durable
from contracts.artifact import Artifact
from contracts.faults import UsageFault
from contracts.machine import cores
from contracts.pointer import find_artifact
from contracts.sections import Settings
from flyweight.features import feature_cache_url
from flyweight.standing import standing
from flyweight.verb import Desk, Outcome

if TYPE_CHECKING:  # what loads locust's neighbours is imported when a verb is called
    from loadtests.capacity import Capacity
    from loadtests.comparison import Rated, Rating
    from loadtests.order import Order
    from loadtests.sizing import Sizing
    from loadtests.trials import Told


@dataclass(frozen=True)
class Wish:
    """What is planned for: requests per second, the share kept free, the price of a vCPU-hour."""

    target_rate: float | None
    headroom: float
    price: float | None


def find_capacity(desk: Desk, order: "Order", wish: Wish) -> Outcome:
    """Of the service at the URL of `order`. Writes reports/capacity."""
    from loadtests.capacity_words import render
    from loadtests.comparison import Rated
    from loadtests.verdict import EXIT_CODES

    capacities, last = _search(desk, {"": order})
    capacity = capacities[""]
    artifact = last.verdict.service.get("artifact") or {}
    name = f"{artifact['name']}:{artifact['variant']}" if {"name", "variant"} <= artifact.keys() else order.url
    version = artifact.get("version", "")
    rated = Rated(name, version, "quality", None, None, capacity, _size(capacity, wish))
    rating = _rating([rated], last, desk.settings)
    desk.out.say(render(capacity, desk.settings.slo, order.url, cores(), rated.sizing))
    _write(desk, rating, desk.settings.paths.reports / "capacity")
    return Outcome(rating, EXIT_CODES[capacity.outcome])


def compare_artifacts(desk: Desk, order: "Order", names: list[str], wish: Wish) -> Outcome:
    """Each artifact in a service of its own, all of them up at once, asked in turn. Writes reports/comparison."""
    from flyweight.load_tables import comparison_table
    from loadtests.verdict import EXIT_CODES

    if len(set(names)) < len(names):
        raise UsageFault(f"--compare names an artifact twice: {','.join(names)}.")
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
        capacities, last = _search(desk, orders)
    rated = [_rated(artifacts[name], capacities[name], wish) for name in names]
    desk.out.say(comparison_table(rated))
    rating = _rating(rated, last, settings)
    _write(desk, rating, settings.paths.reports / "comparison")
    return Outcome(rating, max(EXIT_CODES[one.capacity.outcome] for one in rated))


def _search(desk: Desk, orders: dict[str, "Order"]) -> tuple[dict[str, "Capacity"], "Told"]:
    """The capacities, and the last run that came to its end."""
    from loadtests.capacity import search
    from loadtests.trials import find_capacities

    runs: list[Told] = []
    luck = random.Random()
    searches = {name: search(desk.settings.loadtest.rate, luck) for name in orders}
    found = find_capacities(searches, orders, desk.settings, _teller(desk, runs), desk.out.watch)
    return found, next(told for told in reversed(runs) if told.verdict)


def _teller(desk: Desk, runs: list["Told"]) -> Callable[["Told"], None]:
    from loadtests.capacity_words import render_trial

    def tell(told: "Told") -> None:
        runs.append(told)
        desk.out.say(f"{told.count:3}  {told.name:24} {render_trial(told.trial)}")

    return tell


def _rating(rated: list["Rated"], last: "Told", settings: Settings) -> "Rating":
    from loadtests.comparison import Rating

    objectives = [objective.expression for objective in settings.slo.objectives("server")]
    verdict = last.verdict
    return Rating(objectives, cores(), rated, verdict.setup, verdict.service, verdict.generator)


def _write(desk: Desk, rating: "Rating", out: Path) -> None:
    from loadtests.capacity_report import page

    with durable.new_directory(out) as folder:
        durable.write_bytes(folder / "rating.json", rating.to_json())
        durable.write_bytes(folder / "report.html", page(rating))
    desk.out.wrote(out / "report.html", "every run, for a browser")


def _rated(artifact: Artifact, capacity: "Capacity", wish: Wish) -> "Rated":
    from export.measuring.measured import Candidate, read_measured
    from loadtests.comparison import Rated

    measured = read_measured(artifact)
    quality = Candidate(artifact, measured).quality if measured else None
    return Rated(
        name=artifact.name,
        version=artifact.version,
        metric=measured.metric if measured else "quality",
        quality=quality.value if quality else None,
        interval=(quality.low, quality.high) if quality else None,
        capacity=capacity,
        sizing=_size_by_cpu(capacity, wish),
    )


def _size(capacity: "Capacity", wish: Wish) -> "Sizing | None":
    from loadtests.sizing import size

    if capacity.rate is None or wish.target_rate is None:
        return None
    return size(wish.target_rate, capacity.rate, cores(), headroom=wish.headroom, price=wish.price)


def _size_by_cpu(capacity: "Capacity", wish: Wish) -> "Sizing | None":
    """The same measure for all that are compared, also those that the generator could not bring to their end."""
    from loadtests.sizing import size_by_cpu

    if capacity.cpu_us is None or wish.target_rate is None:
        return None
    return size_by_cpu(wish.target_rate, capacity.cpu_us, cores(), headroom=wish.headroom, price=wish.price)
