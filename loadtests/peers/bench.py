"""`make bench`: the service, honest peers and the ceiling, one after the other on one artifact and one Redis.

`python -m loadtests.peers.bench` writes `reports/bench.json`; its path is the last line. Exit code 3 when the run
was not valid, as for `flyweight loadtest`. Load generator and contender share the cores: compare only figures
of one run.
"""

import sys
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console

from contracts.sections import Paths
from contracts.settings import read_settings
from loadtests.long_runs import ending_well, tell, write_json
from loadtests.peers import WORKERS, ceiling, figures, measuring, wrk
from loadtests.peers.contenders import CEILING, CONTENDERS, can_run, running
from loadtests.peers.report import Plan, Report, make_report
from loadtests.peers.table import render
from loadtests.peers.world import CEILINGS, HISTORY, ITEMS, MODELS, World, fill, make_world
from service.embedded_redis import embedded_redis

_WIDTH_OF_A_FILE = 160
_CEILING_SECONDS = 3

SMOKE = {"seconds": 1, "rounds": 1, "connections": (16,), "models": ("light",)}


def order(contenders: tuple[str, ...], round_: int) -> tuple[str, ...]:
    """Round 1 goes forwards, round 2 backwards, and so on: who is first must not always be the same."""
    return contenders if round_ % 2 else contenders[::-1]


def run(plan: Plan, paths: Paths) -> Report:
    """Measure as planned; artifacts come to lie in `runs/bench`. Raises `Fault`, `RunNotValid` among them."""
    wrk.require_wrk()
    measured: list[figures.Measured] = []
    ceilings: list[figures.Ceiling] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, embedded_redis(Path(scratch, "redis")) as redis:
        worlds = [_make_world(model, paths, redis) for model in plan.models]
        beside = {
            world.model: [_make_world(graph, paths, redis) for graph in CEILINGS[world.model]] for world in worlds
        }
        for round_ in range(1, plan.rounds + 1):
            for world in worlds:
                fill(world)
                for name in order(plan.contenders, round_):
                    if name == CEILING:
                        for each in (world, *beside[world.model]):
                            ceilings += _measure_ceiling(each, plan, round_)
                    else:
                        measured += _measure_server(name, world, plan, round_, Path(scratch))
    return make_report(plan, measured, ceilings)


def _make_world(model: str, paths: Paths, redis_url: str) -> World:
    tell(f"exporting and promoting the model {model}")
    return make_world(model, paths.runs / "bench" / model.replace(", ", "-").replace(" ", "-"), redis_url)


def _measure_server(name: str, world: World, plan: Plan, round_: int, scratch: Path) -> list[figures.Measured]:
    found = []
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch))
    with running(name, world, folder) as contender:
        for connections in plan.connections:
            one = measuring.measure(
                contender, world.model, connections=connections, seconds=plan.seconds, round_=round_
            )
            tell(
                f"round {round_} of {plan.rounds}, {world.model}, {name}, {connections} connections: "
                f"{one.rps:,.0f} requests/s, p99 {one.p99_ms:.1f} ms"
            )
            found.append(one)
    return found


def _measure_ceiling(world: World, plan: Plan, round_: int) -> list[figures.Ceiling]:
    found = []
    for processes in ceiling.PROCESSES:
        for batch in ceiling.BATCHES:
            seconds = min(plan.seconds, _CEILING_SECONDS)
            rate = ceiling.measure(world.artifact, processes=processes, batch=batch, seconds=seconds)
            tell(
                f"round {round_} of {plan.rounds}, {world.model}, {CEILING}, processes: {processes}, "
                f"batch: {batch}: {rate.predictions_per_second:,.0f} predictions/s"
            )
            found.append(figures.Ceiling(world.model, round_, rate))
    return found


def _names(allowed: tuple[str, ...]):
    def parse(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in value.split(","))
        if wrong := [name for name in names if name not in allowed]:
            raise click.BadParameter(f"there is no {wrong[0]!r}; expected some of {', '.join(allowed)}")
        return tuple(name for name in allowed if name in names)

    return parse


def _counts(context: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        counts = tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise click.BadParameter(f"found {value!r}, expected numbers of connections such as 1,16,64")
    return counts


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True, help="Of every timed pass.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--connections", callback=_counts, default="1,16,64", show_default=True)
@click.option("--only", "contenders", callback=_names(CONTENDERS), default=",".join(CONTENDERS), metavar="NAME,…")
@click.option("--models", callback=_names(tuple(MODELS)), default=",".join(MODELS), show_default=True)
@click.option("--smoke", is_flag=True, help="One round of 1 s, 16 connections, the light model: does it work?")
def main(smoke: bool, **chosen: object) -> None:
    """Measure this service beside its peers. Exit codes: 0; 2 usage; 3 the run was not valid; 4 internal error."""
    plan = Plan(**(chosen | SMOKE if smoke else chosen))
    if missing := [name for name in plan.contenders if not can_run(name)]:
        tell(f"left out, for this revision cannot run it: {', '.join(missing)}")
        plan = msgspec.structs.replace(plan, contenders=tuple(n for n in plan.contenders if can_run(n)))
    with ending_well("bench"):
        paths = read_settings().paths
        report = run(plan, paths)
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
        console.print(
            f"{report.machine}, {report.cores} cores, {WORKERS} workers each, {ITEMS:,} items, "
            f"{HISTORY} of history, {plan.rounds} rounds of {plan.seconds} s"
        )
        why_void = None if report.void is None else report.why_void
        console.print(render(report.medians, report.median_ceilings, report.ratios, why_void), markup=False)
        out = paths.reports / "bench.json"
        write_json(report, out)
        print(out)


if __name__ == "__main__":
    main()
