"""What promoting an artifact of a large catalog costs those who ask meanwhile, and how much memory it takes.

`python -m loadtests.peers.promotions` takes the catalogs of `make bench-catalog`, and makes those that are not
there yet. A service begins with the popular list; then every head is promoted in turn, by the command line, under
a steady open load of questions and events. Writes `reports/promotions.json`, its path the last line after a table
in Markdown. Exit code 1 when a request failed or got a degraded answer
while the artifacts changed, or a call of /events was refused.
"""

import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click

from contracts.artifact import Artifact, sealed_artifacts
from contracts.faults import RunNotValid, VerdictIsNo
from contracts.machine import cores, cpu_model
from contracts.settings import read_settings
from loadtests.long_runs import ending_well, tell, today, write_json
from loadtests.peers import WORKERS, measuring
from loadtests.peers.catalog_plans import POPULARITY, Plan, plans_of
from loadtests.peers.catalog_rows import is_exact
from loadtests.peers.catalog_worlds import CONFIG, fill_with_users, make, promote, served_artifacts
from loadtests.peers.contenders import Running, running
from loadtests.peers.promotion_rows import Memory, Moments, Promotion, Report, examine, markdown
from loadtests.peers.usage import memory_mb
from loadtests.peers.world import World
from loadtests.steady_load import Pressure, SteadyLoad
from loadtests.validity import MAX_CLOCK_JUMP_SECONDS, MAX_CPU_SHARE
from loadtests.verdict import Verdict
from loadtests.waiting import sleep_until
from service.embedded_redis import embedded_redis

_SERVICE = "flyweight-shortcut"
_USERS = 20_000
_BEFORE_SECONDS = 8
_SAMPLE_SECONDS = 0.2


class _Sampler(threading.Thread):
    """Reads the memory of a service time and again, until the block is left."""

    def __init__(self, service: Running) -> None:
        super().__init__(daemon=True)
        self._service, self._ends = service, threading.Event()
        self._found: list[tuple[float, float]] = []

    def run(self) -> None:
        while not self._ends.wait(_SAMPLE_SECONDS):
            self._found.append((time.monotonic(), memory_mb(self._service.family())))

    def memory(self, moment: float) -> Memory:
        """`moment` of `time.monotonic`: what was promoted came after it."""
        before = [megabytes for when, megabytes in self._found if when < moment]
        after = [megabytes for when, megabytes in self._found if when >= moment]
        return Memory(before[-1], max(after), after[-1])

    def __enter__(self) -> "_Sampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()


def run(plans: Sequence[Plan], base: Path, pressure: Pressure) -> list[Promotion]:
    """Promote what the catalogs in `base` have. Raises `Fault`, `RunNotValid` among them."""
    found = []
    for plan in plans:
        with tempfile.TemporaryDirectory(prefix="promotions-") as scratch:
            found += _promote_in_turn(plan, base / str(plan.items), pressure, Path(scratch))
    return found


def _promote_in_turn(plan: Plan, folder: Path, pressure: Pressure, scratch: Path) -> list[Promotion]:
    made, found = make(plan, folder), []
    chain = _chain(folder)
    promote(chain[0], folder)
    with embedded_redis(scratch / "redis") as redis:
        traffic = fill_with_users(made, folder, _USERS, redis, scratch).traffic
        world = World(chain[0].name, (folder / CONFIG).resolve(), chain[0], redis)
        (scratch / "service").mkdir()
        with running(_SERVICE, world, scratch / "service") as service:
            measuring.refuse_another(service.url, chain[0].version)
            for before, after in pairwise(chain):
                tell(f"{plan.items:,} items: {after.name} after {before.name}")
                load = SteadyLoad(service.url, traffic, pressure, scratch / f"load-{len(found)}")
                names = {"size": plan.items, "rate": pressure.rate, "before": before.name}
                found.append(_promote_under(load, service, after, folder, names))
                tell(f"  slowest answer {found[-1].slowest_ms:,.0f} ms, {found[-1].bad[1]:,} failed or degraded")
    return found


def _chain(folder: Path) -> list[Artifact]:
    """The popular list, and what is promoted one after the other: heads, or exact graphs where there are none."""
    popular = [a for a in sealed_artifacts(folder / "artifacts") if a.manifest.rung == POPULARITY]
    served = served_artifacts(folder)
    heads = [artifact for artifact in served if not is_exact(artifact)] or served
    if not popular or not heads:
        raise RunNotValid(f"{folder / 'artifacts'} holds {len(popular)} popular lists and {len(heads)} others.")
    return [popular[-1], *heads]


def _promote_under(
    load: SteadyLoad, service: Running, artifact: Artifact, folder: Path, names: dict[str, object]
) -> Promotion:
    """Raises `RunNotValid` where a request was lost sight of, or the artifact never answered."""
    with load, _Sampler(service) as sampler:
        began = load.await_begin()
        sleep_until(began + _BEFORE_SECONDS)
        called = time.monotonic()
        promote(artifact, folder)
        moments = Moments(called - began, time.monotonic() - began)
        verdict = load.wait()
    requests = load.requests()
    _check(verdict, len(requests))
    names |= {"after": artifact.name, "after_mb": artifact.size_bytes / 1e6}
    names["refused_calls"] = sum(verdict.events.counts.refused.values())
    return examine(requests, artifact.version, moments, sampler.memory(called), **names)


def _check(verdict: Verdict, logged: int) -> None:
    """Raises `RunNotValid` where the load was not what it says. How late it asked is in every latency."""
    begun, health = verdict.counts.begun + verdict.events.counts.asked, verdict.health
    if logged != begun or not health.finished:
        raise RunNotValid(f"{logged:,} of {begun:,} requests are accounted for, expected all of them.")
    if health.cpu_share > MAX_CPU_SHARE or health.clock_jump_seconds > MAX_CLOCK_JUMP_SECONDS:
        raise RunNotValid(f"the load generator or its clock did not keep up: {'; '.join(verdict.problems)}")


@click.command()
@click.option("--sizes", default="1000000,10000000", show_default=True, metavar="N,N", help="Catalogs.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path),
    help="That of `make bench-catalog`. Default: bench/catalog under [paths] runs.",
)  # fmt: skip
@click.option("--rate", type=click.FloatRange(1), default=100.0, show_default=True, help="Requests per second.")
@click.option("--seconds", type=click.IntRange(20), default=45, show_default=True, help="Of load per promotion.")
def main(sizes: str, folder: Path | None, rate: float, seconds: int) -> None:
    """Promote under load. Exit codes: 0; 1 somebody noticed; 2 usage; 3 not valid; 4 internal error."""
    with ending_well("promotions"):
        paths = read_settings().paths
        base = (folder or paths.runs / "bench" / "catalog").resolve()
        found = run(plans_of(sizes), base, Pressure(rate, rate / 5, seconds))
        command = f"python -m loadtests.peers.promotions --sizes {sizes} --rate {rate:g} --seconds {seconds}"
        report = Report(cpu_model(), cores(), WORKERS, today(), command, seconds, found)
        print(markdown(report))
        write_json(report, out := paths.reports / "promotions.json")
        print(out)
        if noticed := [one for one in found if not one.unnoticed]:
            first = noticed[0]
            raise VerdictIsNo(
                f"{len(noticed)} of {len(found)} promotions were noticed, the first that of {first.after} of "
                f"{first.size:,} items: {first.bad[1]:,} requests failed or got a degraded answer, "
                f"{first.refused_calls:,} calls of /events were refused."
            )


if __name__ == "__main__":
    main()
