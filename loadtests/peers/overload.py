"""More than the service can do: what becomes of goodput and latency at one to five times its capacity.

`python -m loadtests.peers.overload` serves a transformer with random weights over a large catalog, so that a few
hundred requests per second are all it can do and the generator on the same cores stays small; finds that capacity
by closed askers; then offers multiples of it. Writes `reports/overload.json`, its path the last line, and a
picture.
Exit code 1 when goodput at three times falls below 90 % of its highest, or p99 of what is accepted beyond the
deadline; 3 when the generator took more than 30 % of a core.
"""

import datetime
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
import psutil

from contracts import durable
from contracts.faults import Fault, RunNotValid, VerdictIsNo
from contracts.load_sections import Loadtest, Slo
from contracts.machine import cores, cpu_model
from contracts.sections import Settings
from contracts.settings import read_settings
from loadtests.peers.contenders import running
from loadtests.peers.curves import Dot, Line, Picture, draw
from loadtests.peers.growth_cases import Stand, world_of
from loadtests.peers.world import World, clean_environment
from loadtests.run import Order, run
from loadtests.verdict import Verdict
from service.embedded_redis import embedded_redis

ITEMS, USERS, ASKERS = 1_000_000, 20_000, 8
_STAND = Stand("sasrec", items=ITEMS, workers=1)
MULTIPLES = (0.5, 1.0, 2.0, 3.0, 5.0)
DEADLINE_MS, LEAST_SHARE, MOST_CPU = 100, 0.9, 0.3
_TRIES = 4
_MAX_LAG_MS = 50.0
"""Half the deadline. However late the generator is, the latency counts it: it can only spoil the figures."""


class Offered(msgspec.Struct, frozen=True):
    """What came of one rate, per second. Shares of all requests, 0 to 1. `p99_ms`: of what was accepted."""

    multiple: float
    offered: float
    goodput: float
    p50_ms: float
    p99_ms: float
    refused: float
    degraded: float
    other_failures: float
    generator_cpu: float


class Report(msgspec.Struct):
    """The content of `reports/overload.json`. `capacity`: answers per second to askers who wait."""

    machine: str
    cores: int
    date: str
    items: int
    seconds: int
    capacity: float
    curve: list[Offered]


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
            _tell(f"capacity {capacity:,.0f} requests/s with {ASKERS} askers")
            curve = []
            for multiple in MULTIPLES:
                order = Order(service.url, "server", traffic)
                verdict = _play(order, _settings(seconds, rate=multiple * capacity), Path(scratch, "run"))
                curve.append(_offered(multiple, verdict))
                _tell(_in_words(curve[-1]))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Report(cpu_model(), cores(), today, ITEMS, seconds, capacity, curve)


def _keep_apart(service: Sequence[psutil.Process]) -> None:
    """The service on the first core, this process and the generator that it starts on the others, so that a client
    need not wait for a core that a batch holds, as it would not on a machine of its own."""
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        for process in service:
            process.cpu_affinity([first])
        os.sched_setaffinity(0, others)


def _make_users(world: World, traffic: Path) -> Path:
    command = [sys.executable, "-m", "flyweight", "materialize", "--synthetic", str(USERS)]
    command += ["--traffic", str(traffic), "--config", str(world.config)]
    subprocess.run(
        command, env=clean_environment() | {"REDIS_URL": world.redis_url}, check=True, stdout=sys.stderr
    )
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
        _tell("not valid, again: " + "; ".join(verdict.problems))
    raise RunNotValid("; ".join(verdict.problems))


def _offered(multiple: float, verdict: Verdict) -> Offered:
    counts, figures = verdict.counts, verdict.figures
    refused = counts.failures.get("status 429", 0)
    return Offered(
        multiple=multiple,
        offered=counts.begun / verdict.setup.seconds,
        goodput=counts.good / verdict.setup.seconds,
        p50_ms=figures.accepted_ms["p50"],
        p99_ms=figures.accepted_ms["p99"],
        refused=refused / counts.begun,
        degraded=figures.degraded or 0.0,
        other_failures=(counts.begun - counts.valid - refused) / counts.begun,
        generator_cpu=verdict.health.cpu_share,
    )


def judge(curve: Sequence[Offered]) -> list[str]:
    """What is not as it should be, in words."""
    best = max(one.goodput for one in curve)
    at_three = next(one for one in curve if one.multiple == 3)
    problems = []
    if at_three.goodput < LEAST_SHARE * best:
        problems.append(
            f"goodput at 3x is {at_three.goodput / best:.0%} of its highest, expected {LEAST_SHARE:.0%}"
        )
    problems += [
        f"p99 of what is accepted is {one.p99_ms:.0f} ms at {one.multiple:g}x, expected {DEADLINE_MS} ms at most"
        for one in curve if one.p99_ms > DEADLINE_MS
    ]  # fmt: skip
    return problems


def _in_words(one: Offered) -> str:
    return (
        f"{one.multiple:g}x: {one.offered:,.0f}/s offered, goodput {one.goodput:,.0f}/s, p50 {one.p50_ms:.1f} ms, "
        f"p99 {one.p99_ms:.1f} ms of what was accepted; 429 {one.refused:.1%}, degraded {one.degraded:.1%}, other "
        f"failures {one.other_failures:.2%}; generator {one.generator_cpu:.0%} of a core"
    )


def picture_of(report: Report) -> Picture:
    dots = tuple(Dot(round(one.offered), one.goodput, one.p50_ms, one.p99_ms) for one in report.curve)
    small_print = (
        f"{report.machine}, one worker on a core of its own, generator on another; {report.date}; "
        f"{report.items:,} items, capacity {report.capacity:,.0f}/s",
        "what is refused (429) counts as offered; p50 and p99 are of what was accepted",
    )
    lines = (Line("goodput, answers per second", dots),)
    return Picture("Goodput under overload", "requests per second offered", lines, small_print, log_x=False)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=20, show_default=True, help="Of every rate.")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), default="docs/pictures", show_default=True
)
def main(seconds: int, plots: Path) -> None:
    """Offer more than the service can do. Exit codes: 0; 1 not as it should be; 2 usage; 3 not valid."""
    try:
        paths = read_settings().paths
        report = measure(seconds, paths.runs / "bench" / "growth")
        out = paths.reports / "overload.json"
        durable.write_bytes(out, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        durable.write_bytes(plots / "overload.svg", draw(picture_of(report)))
        print(out)
        if busiest := [one for one in report.curve if one.generator_cpu > MOST_CPU]:
            raise RunNotValid(
                f"the generator took {busiest[-1].generator_cpu:.0%} of a core, more than {MOST_CPU:.0%}"
            )
        if problems := judge(report.curve):
            raise VerdictIsNo("; ".join(problems))
    except Fault as fault:
        click.echo(f"overload: {fault}", err=True)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()
