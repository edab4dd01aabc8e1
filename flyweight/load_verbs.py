"""The verb about load."""

from pathlib import Path

import click

from contracts.sections import Settings
from flyweight.verb import A_PATH, Desk, Outcome, verb

_FLAGS = {
    "seconds": ("loadtest", "duration-seconds"),
    "rate": ("loadtest", "rate"),
    "connections": ("loadtest", "connections"),
}


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
def loadtest(
    desk: Desk,
    url: str | None,
    traffic: Path | None,
    scenario: str,
    replay: float | None,
    hooks: tuple[tuple[float, str], ...],
    processes: int,
) -> Outcome:
    """Load a running service and hold it against the SLO of flyweight.toml.

    Exit code 1 when the SLO is missed, 3 when the run was not valid and gives no figure.
    """
    from loadtests.report import write_report
    from loadtests.run import Order, run
    from loadtests.wording import render

    order = Order(url or default_url(desk.settings), scenario, traffic, replay, hooks, processes)
    out = desk.settings.paths.reports / "loadtest"
    verdict = run(order, desk.settings, out, desk.out.watch)
    desk.out.say(render(verdict))
    write_report(verdict, out / "report.html")
    desk.out.wrote(out / "report.html", "the report, for a browser")
    return Outcome(verdict, verdict.exit_code)


def default_url(settings: Settings) -> str:
    return f"http://{settings.service.host}:{settings.service.port}"
