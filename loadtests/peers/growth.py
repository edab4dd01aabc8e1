"""What the service costs when something grows: the catalog, the history, the connections, the workers.

`python -m loadtests.peers.growth` writes `reports/growth.json`, its path the last line, and a picture per curve.
Load generator and service share the cores: compare only figures of one run. Exit code 3 when a pass gave no honest
figure; the others are written all the same.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from contracts import durable
from contracts.faults import Fault, RunNotValid
from contracts.machine import cores, cpu_model
from contracts.settings import read_settings
from loadtests.long_runs import ending_well, tell, today, write_json
from loadtests.peers import measuring, wrk
from loadtests.peers.bench import order
from loadtests.peers.contenders import running
from loadtests.peers.curves import Dot, Line, Picture, draw
from loadtests.peers.growth_cases import Case, Curve, Point, Stand, curves, medians, stands_of, world_of
from loadtests.peers.world import World, fill
from service.embedded_redis import embedded_redis

_SERVICE = "flyweight-shortcut"
_PATIENT = {"FLYWEIGHT_SERVICE_DEADLINE_MS": "3000"}
"""Throughput is asked for here, of models that are slow on purpose; overload is another question."""
_LOG_X = ("items", "history", "connections")
_LOG_Y = ("items",)


class Plan(msgspec.Struct, frozen=True):
    """Every case once in every round, each for so many seconds; every other round goes backwards."""

    seconds: int
    rounds: int

    @property
    def command(self) -> str:
        return f"python -m loadtests.peers.growth --seconds {self.seconds} --rounds {self.rounds}"


class Failure(msgspec.Struct, frozen=True):
    """A pass that gave no honest figure, and why."""

    case: Case
    round: int
    why: str


class Report(msgspec.Struct):
    """The content of `reports/growth.json`. `date` is the day of the run in UTC."""

    machine: str
    cores: int
    date: str
    command: str
    plan: Plan
    curves: tuple[Curve, ...]
    medians: list[Point]
    failures: list[Failure]
    rounds: list[Point]


def run(plan: Plan, asked: tuple[Curve, ...], folder: Path) -> Report:
    """Measure all cases of `asked`; artifacts come to lie, and are kept, in `folder`.

    Raises `Fault` where there is no wrk or an artifact cannot be made.
    """
    wrk.require_wrk()
    points: list[Point] = []
    failures: list[Failure] = []
    stands = stands_of(asked)
    with tempfile.TemporaryDirectory(prefix="growth-") as scratch, embedded_redis(Path(scratch, "redis")) as redis:
        worlds = {}
        for stand in stands:
            tell(f"artifact of {stand.folder} (made where it is not kept; minutes for a million items)")
            worlds[stand] = world_of(stand, folder, redis)
        for round_ in range(1, plan.rounds + 1):
            for stand in order(tuple(stands), round_):
                tell(f"round {round_} of {plan.rounds}, {stand.name}")
                found, failed = _measure_stand(stand, stands[stand], worlds[stand], plan, round_, Path(scratch))
                points += found
                failures += failed
    return Report(
        cpu_model(), cores(), today(), plan.command, plan, asked, medians(points), failures, points
    )  # fmt: skip


def _measure_stand(
    stand: Stand, connections: Sequence[int], world: World, plan: Plan, round_: int, scratch: Path
) -> tuple[list[Point], list[Failure]]:
    """A service that does not come up, or falls, fails in the cases that it still had to answer."""
    points: list[Point] = []
    failures: list[Failure] = []
    folder = Path(tempfile.mkdtemp(dir=scratch))
    cases = [Case(stand, count) for count in connections]
    try:
        fill(world)
        with running(_SERVICE, world, folder, workers=stand.workers, variables=_PATIENT) as service:
            for case in cases:
                try:
                    one = measuring.measure(
                        service, stand.name, connections=case.connections, seconds=plan.seconds, round_=round_
                    )
                    points.append(Point(case, one))
                    tell(f"  {case.connections} connections: {one.rps:,.0f} requests/s, p99 {one.p99_ms:.1f} ms")
                except RunNotValid as why:
                    failures.append(_failed(case, round_, why))
    except (Fault, OSError) as why:
        done = len(points) + len(failures)
        failures += [_failed(case, round_, why) for case in cases[done:]]
    return points, failures


def _failed(case: Case, round_: int, why: Exception) -> Failure:
    tell(f"  {case.connections} connections: no figure. {why}")
    return Failure(case, round_, str(why))


def picture_of(curve: Curve, report: Report) -> Picture:
    """The medians of a curve, one line per rung."""
    by_case = {point.case: point.measured for point in report.medians}
    lines = []
    for rung in dict.fromkeys(case.stand.rung for case in curve.cases):
        measured = [(c, by_case[c]) for c in curve.cases if c.stand.rung == rung and c in by_case]
        dots = (Dot(curve.place(case), m.rps, m.p50_ms, m.p99_ms) for case, m in measured)
        lines.append(Line(rung, tuple(sorted(dots, key=lambda dot: dot.at))))
    failed = sum(failure.case in curve.cases for failure in report.failures)
    small_print = (
        f"{report.machine}, {report.cores} cores, wrk on the same ones; {report.date}; {report.command}",
        f"{_fixed(curve)}; medians of {report.plan.rounds} rounds"
        + (f"; {failed} passes gave no honest figure" if failed else ""),
    )
    return Picture(
        curve.title, curve.axis_label, tuple(lines), small_print, curve.axis in _LOG_X, curve.axis in _LOG_Y
    )


def _fixed(curve: Curve) -> str:
    """What does not grow in this curve."""
    case = curve.cases[0]
    said = {
        "items": f"{case.stand.items:,} items", "history": f"history of {case.stand.history}",
        "connections": f"{case.connections} connections", "workers": f"{case.stand.workers} workers",
    }  # fmt: skip
    return ", ".join(words for axis, words in said.items() if axis != curve.axis)


def write(report: Report, out: Path, plots: Path) -> None:
    """The report, and a picture per curve into the folder `plots`."""
    write_json(report, out)
    for curve in report.curves:
        durable.write_bytes(plots / f"{curve.name}.svg", draw(picture_of(curve, report)))


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True, help="Of every timed pass.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), default="docs/pictures", show_default=True
)
def main(seconds: int, rounds: int, plots: Path) -> None:
    """Measure what growth costs. Exit codes: 0; 2 usage; 3 some pass gave no honest figure; 4 internal error."""
    with ending_well("growth"):
        paths = read_settings().paths
        report = run(Plan(seconds, rounds), curves(cores()), paths.runs / "bench" / "growth")
        out = paths.reports / "growth.json"
        write(report, out, plots)
        print(out)
        if report.failures:
            count, first = len(report.failures), report.failures[0]
            raise RunNotValid(
                f"{count} passes gave no honest figure, the first of {first.case.stand.name}: {first.why}"
            )


if __name__ == "__main__":
    main()
