"""More than the service can do: what becomes of goodput and latency at one to five times its capacity.

`python -m loadtests.peers.overload` serves a transformer with random weights over a large catalog, so that a few
hundred requests per second are all it can do and the generator on the same cores stays small; finds that capacity
by closed askers; then offers multiples of it. Writes `reports/overload.json`, its path the last line, and a
picture.
Exit code 1 when goodput at three times falls below 90 % of its highest, or p99 of what is accepted beyond the
deadline; 3 when the generator took more than 30 % of a core.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import psutil

from contracts import durable
from contracts.faults import RunNotValid, VerdictIsNo
from contracts.load_sections import Loadtest, Slo
from contracts.machine import cores, cpu_model
from contracts.sections import Settings
from contracts.settings import read_settings
from loadtests.command_line import ROOT, flyweight
from loadtests.long_runs import ending_well, tell, today, write_json
from loadtests.peers.contenders import running
from loadtests.peers.curves import draw
from loadtests.peers.growth_cases import Stand, world_of
from loadtests.peers.offered import DEADLINE_MS, Report, in_words, judge, offered, picture_of
from loadtests.peers.world import World
from loadtests.run import Order, run
from loadtests.verdict import Verdict
from service.embedded_redis import embedded_redis

ITEMS, USERS, ASKERS = 1_000_000, 20_000, 8
_STAND = Stand("sasrec", items=ITEMS, workers=1)
MULTIPLES = (0.5, 1.0, 2.0, 3.0, 5.0)
MOST_CPU = 0.3
_TRIES = 4
_MAX_LAG_MS = 50.0
"""Half the deadline. However late the generator is, the latency counts it: it can only spoil the figures."""


def measure(seconds: int, folder: Path) -> Report:
    """Artifacts are kept in `folder`. Raises `RunNotValid` for a run that says so itself."""
    with (
        tempfile.TemporaryDirectory(prefix="overload-") as scratch,
        embedded_redis(Path(scratch, "redis")) as redis,
    ):
        world = world_of(_STAND, folder, redis)
        traffic = _make_users(world, Path(scratch, "traffic.json"))
        with running("flyweight-shortcut", world, Path(tempfile.mkdtemp(dir=scratch)), workers=1) as service:
            _keep_apart(service.family())
            order = Order(service.url, "offline", traffic)
            asked = _settings(seconds, connections=ASKERS)
            capacity = _play(order, asked, Path(scratch, "run")).figures.requests_per_second
            tell(f"capacity {capacity:,.0f} requests/s with {ASKERS} askers")
            curve = []
            for multiple in MULTIPLES:
                order = Order(service.url, "server", traffic)
                verdict = _play(order, _settings(seconds, rate=multiple * capacity), Path(scratch, "run"))
                curve.append(offered(multiple, verdict))
                tell(in_words(curve[-1]))
    return Report(cpu_model(), cores(), today(), ITEMS, seconds, capacity, curve)


def _keep_apart(service: Sequence[psutil.Process]) -> None:
    """The service on the first core, this process and the generator that it starts on the others, so that a client
    need not wait for a core that a batch holds, as it would not on a machine of its own."""
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        for process in service:
            process.cpu_affinity([first])
        os.sched_setaffinity(0, others)


def _make_users(world: World, traffic: Path) -> Path:
    words = ["materialize", "--synthetic", USERS, "--traffic", traffic, "--config", world.config]
    flyweight(words, {"REDIS_URL": world.redis_url}, ROOT)
    return traffic


def _settings(seconds: int, **load: float) -> Settings:
    slo = Slo(predict=(f"p(99) < {DEADLINE_MS}", "goodput >= 0"))
    return Settings(loadtest=Loadtest(duration_seconds=seconds, max_lag_ms=_MAX_LAG_MS, **load), slo=slo)


def _play(order: Order, settings: Settings, out: Path) -> Verdict:
    """A run that the machine spoilt, for it stood still, is played again. Raises `RunNotValid` when all are."""
    for _ in range(_TRIES):
        verdict = run(order, settings, out)
        if verdict.figures is not None:
            return verdict
        tell("not valid, again: " + "; ".join(verdict.problems))
    raise RunNotValid("; ".join(verdict.problems))


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=20, show_default=True, help="Of every rate.")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), default="docs/pictures", show_default=True
)
def main(seconds: int, plots: Path) -> None:
    """Offer more than the service can do. Exit codes: 0; 1 not as it should be; 2 usage; 3 not valid."""
    with ending_well("overload"):
        paths = read_settings().paths
        report = measure(seconds, paths.runs / "bench" / "growth")
        out = paths.reports / "overload.json"
        write_json(report, out)
        durable.write_bytes(plots / "overload.svg", draw(picture_of(report)))
        print(out)
        if busiest := [one for one in report.curve if one.generator_cpu > MOST_CPU]:
            raise RunNotValid(
                f"the generator took {busiest[-1].generator_cpu:.0%} of a core, more than {MOST_CPU:.0%}"
            )
        if problems := judge(report.curve):
            raise VerdictIsNo("; ".join(problems))


if __name__ == "__main__":
    main()
