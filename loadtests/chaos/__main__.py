"""`python -m loadtests.chaos` writes `reports/chaos.json` and prints the table of faults."""

import tempfile
from pathlib import Path

import click
import msgspec

from contracts.faults import UsageFault, VerdictIsNo
from contracts.machine import cores, cpu_model
from contracts.settings import read_settings
from loadtests.chaos.evidence import Outcome
from loadtests.chaos.playing import play
from loadtests.chaos.rows import ROWS, Row
from loadtests.chaos.table import line, markdown
from loadtests.chaos.world import make_world
from loadtests.long_runs import ending_well, tell, today, write_json


class Report(msgspec.Struct):
    """The content of `reports/chaos.json`. `date` is the day of the run in UTC."""

    machine: str
    cores: int
    date: str
    rate: float
    events_rate: float
    outcomes: list[Outcome]


def chosen(names: str) -> list[Row]:
    """The rows of these names, parted by commas; a row brings its controls along. Raises `UsageFault`."""
    known = [row.name for row in ROWS]
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in asked if name not in known]:
        raise UsageFault(f"there is no row {unknown[0]!r}; expected some of {', '.join(known)}.")
    return [row for row in ROWS if not asked or row.name in asked or row.control_of in asked]


@click.command()
@click.option("--rows", default="", metavar="NAME,NAME", help="Only these, with their controls; default: all.")
@click.option("--rate", type=click.FloatRange(1), default=500, show_default=True, help="Requests per second.")
@click.option("--events-rate", type=click.FloatRange(1), default=100, show_default=True, help="Calls of /events.")
@click.option("--controls/--no-controls", default=True, show_default=True)
def main(rows: str, rate: float, events_rate: float, controls: bool) -> None:
    """Let faults happen under steady load. Exit codes: 0; 1 a row failed or a control did not; 2 usage; 4 else."""
    with ending_well("chaos"):
        asked = [row for row in chosen(rows) if controls or row.control_of is None]
        outcomes = []
        with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
            tell("making two artifacts and a Redis full of users")
            world = make_world(Path(scratch))
            for number, row in enumerate(asked):
                outcomes.append(play(row, world, Path(scratch, str(number)), rate=rate, events_rate=events_rate))
                tell(line(outcomes[-1]))
        report = Report(cpu_model(), cores(), today(), rate, events_rate, outcomes)
        out = read_settings().paths.reports / "chaos.json"
        write_json(report, out)
        print(markdown(outcomes))
        load = f"{rate:g} requests and {events_rate:g} events/s"
        print(f"\n{report.machine}, {report.cores} cores, {report.date}, {load}")
        print(out)
        if not all(one.as_expected for one in outcomes):
            raise VerdictIsNo("not everything was as expected; the table says what.")


if __name__ == "__main__":
    main()
