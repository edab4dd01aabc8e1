"""One service under steady load for minutes: does its memory stay flat, is every answer received?

`python -m loadtests.peers.soak` writes `reports/soak.json`; its path is the last line. wrk asks in slices of 20 s;
between two of them the service rests for a moment, so that its own count of answers can be read.
Exit code 1 when memory grows or an answer was lost.
"""

import re
import tempfile
import time
import urllib.request
from pathlib import Path

import click
import msgspec

from contracts.faults import VerdictIsNo
from contracts.machine import cores, cpu_model
from contracts.sections import Paths
from contracts.settings import read_settings
from loadtests.long_runs import ending_well, tell, today, write_json
from loadtests.peers import WORKERS, measuring, wrk
from loadtests.peers.contenders import Running, running
from loadtests.peers.soak_verdict import Slice, Verdict, judge, row, table, words
from loadtests.peers.usage import memory_mb, resident_mb
from loadtests.peers.world import USERS, World, fill, make_world
from service.embedded_redis import embedded_redis

_SERVICE, _MODEL = "flyweight-shortcut", "transformer"
_COUNTED = re.compile(
    r'^flyweight_request_duration_seconds_count\{[^}]*route="/predict"[^}]*\} (\S+)$', re.MULTILINE
)
_SLICE_SECONDS, _CHECK_SECONDS, _REST_SECONDS, _POLL_SECONDS = 20, 2, 5, 0.2


class Plan(msgspec.Struct, frozen=True):
    """`settle_seconds`: what of the beginning is left out when memory is judged."""

    slices: int
    connections: int
    slice_seconds: int = _SLICE_SECONDS
    settle_seconds: int = 120


class Report(msgspec.Struct):
    """The content of `reports/soak.json`. `date` is the day of the run in UTC."""

    machine: str
    cores: int
    workers: int
    date: str
    command: str
    plan: Plan
    verdict: Verdict
    slices: list[Slice]


def run(plan: Plan, paths: Paths) -> tuple[list[Slice], Verdict]:
    """Load the transformer behind this service as planned. Raises `Fault`, `RunNotValid` among them."""
    wrk.require_wrk()
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch, embedded_redis(Path(scratch, "redis")) as redis:
        tell(f"exporting and promoting the model {_MODEL}")
        world = make_world(_MODEL, paths.runs / "bench" / "soak", redis)
        return soak(world, plan, Path(scratch))


def soak(world: World, plan: Plan, scratch: Path) -> tuple[list[Slice], Verdict]:
    """Start the service, check it, load it slice by slice, check it again, end it."""
    fill(world)
    folder = Path(tempfile.mkdtemp(dir=scratch))
    slices: list[Slice] = []
    with running(_SERVICE, world, folder) as service:
        _check(service, plan)
        began = time.monotonic()
        for number in range(1, plan.slices + 1):
            slices.append(_load(service, plan, began))
            tell(f"slice {number} of {plan.slices}: {row(slices[-1], plan.connections)}")
        _check(service, plan)
    return slices, judge(slices, connections=plan.connections, settle_seconds=plan.settle_seconds)


def _check(service: Running, plan: Plan) -> None:
    """Raises `RunNotValid` when the answers are not the model's."""
    seconds = min(_CHECK_SECONDS, plan.slice_seconds)
    wrk.check(service.url, connections=plan.connections, seconds=seconds, users=USERS)


def _load(service: Running, plan: Plan, began: float) -> Slice:
    counted_before, (_, fallbacks_before) = _counted(service.url), measuring.own_metrics(service.url)
    found, _ = wrk.load(service.url, connections=plan.connections, seconds=plan.slice_seconds, users=USERS)
    counted, (_, fallbacks) = _counted(service.url), measuring.own_metrics(service.url)
    family = service.family()
    return Slice(
        ended_s=time.monotonic() - began,
        answers=found.answers,
        counted=counted - counted_before,
        rps=found.rps,
        p50_ms=found.p50_us / 1e3,
        p99_ms=found.p99_us / 1e3,
        max_ms=found.max_us / 1e3,
        over_100_ms=found.over_100_ms,
        errors=found.errors,
        fallbacks=round(fallbacks - fallbacks_before),
        unanswered=wrk.unanswered(found, plan.connections),
        rss_mb=resident_mb(family),
        pss_mb=memory_mb(family),
    )


def _counted(url: str) -> int:
    """Answers that the service has counted, read until two readings agree: none is under way any more."""
    before, deadline = -1, time.monotonic() + _REST_SECONDS
    while True:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
            now = round(sum(map(float, _COUNTED.findall(response.read().decode()))))
        if now == before or time.monotonic() > deadline:
            return now
        before = now
        time.sleep(_POLL_SECONDS)


@click.command()
@click.option(
    "--minutes", type=click.IntRange(1), default=10, show_default=True, help="Memory is judged from 3 on."
)
@click.option("--connections", type=click.IntRange(1), default=64, show_default=True)
def main(minutes: int, connections: int) -> None:
    """Load one service for minutes. Exit codes: 0; 1 memory grew, or answers were lost; 2 usage; 3 not valid."""
    plan = Plan(slices=minutes * 60 // _SLICE_SECONDS, connections=connections)
    with ending_well("soak"):
        paths = read_settings().paths
        slices, verdict = run(plan, paths)
        command = f"python -m loadtests.peers.soak --minutes {minutes} --connections {connections}"
        report = Report(cpu_model(), cores(), WORKERS, today(), command, plan, verdict, slices)
        _print(report)
        out = paths.reports / "soak.json"
        write_json(report, out)
        print(out)
        if not verdict.passed:
            raise VerdictIsNo("the service did not stand the soak; the verdict stands above.")


def _print(report: Report) -> None:
    print(
        f"{report.machine}, {report.cores} cores, {report.workers} workers, transformer, "
        f"{report.plan.connections} connections, {report.plan.slices} slices of {report.plan.slice_seconds} s"
    )
    print(table(report.slices, report.plan.connections))
    print(words(report.verdict))


if __name__ == "__main__":
    main()
