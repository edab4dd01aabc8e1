"""Verbs about the log: validate, sample, download, split."""

from pathlib import Path

import click

from contracts.faults import LogFault, VerdictIsNo
from flyweight.verb import A_PATH, THERE, Desk, Outcome, verb

LOG = click.option(
    "--interactions", type=THERE, required=True, metavar="FILE", help="CSV, CSV.gz, Parquet, or a folder."
)


@verb()
@LOG
def validate(desk: Desk, interactions: Path) -> Outcome:
    """Check an interaction log: what it holds, what is dropped and why, whether it can be trained on.

    Exit code 1 when it cannot. The file itself is never changed.
    """
    from models.logs.checks import render
    from models.logs.log import read_log

    try:
        log = read_log(interactions, desk.settings.log, progress=desk.out.progress)
    except LogFault as fault:  # not even its rows can be read: for this verb a verdict, not a wrong call
        desk.out.say(f"{fault}\nThis log cannot be trained on.")
        return Outcome({"path": str(interactions), "problems": [str(fault)]}, VerdictIsNo.exit_code)
    desk.out.read(interactions, f"{log.report.rows_read:,} rows")
    desk.out.say(render(log.report))
    return Outcome(log.report, 1 if log.report.problems else 0)


@verb(flags={"seed": ("training", "seed")})
@click.option("--out", type=A_PATH, default=Path("sample"), show_default=True, help="Folder to write.")
@click.option("--users", type=click.IntRange(2), default=2000, show_default=True)
@click.option("--items", type=click.IntRange(10), default=1000, show_default=True)
@click.option("--interactions", "count", type=click.IntRange(100), default=60_000, show_default=True)
@click.option(
    "--signal", type=click.FloatRange(0, 1), default=0.75, show_default=True, help="0 = noise, 1 = all structure."
)
@click.option("--sessions", is_flag=True, help="Write a session_id column.")
@click.option(
    "--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True,
    help="Of the files; Parquet comes in parts.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="Same seed, same log.")
def sample(
    desk: Desk, out: Path, users: int, items: int, count: int, signal: float, sessions: bool, kind: str
) -> Outcome:
    """Write a synthetic log with something to learn: popularity, clusters, transitions, moving tastes."""
    from models.logs.sample import write_sample

    seed = desk.settings.training.seed
    shape = {"users": users, "items": items, "interactions": count, "signal": signal, "sessions": sessions}
    write_sample(out, **shape, kind=kind, seed=seed, progress=desk.out.progress)
    desk.out.wrote(
        out, f"{count:,} interactions, {users:,} users, {items:,} items, signal {signal:g}, seed {seed}"
    )
    return Outcome({"out": str(out), "seed": seed, **shape})


@verb()
@click.argument("name", type=click.Choice(["movielens-latest-small", "movietweetings"]))
@click.option("--out", type=A_PATH, help="Folder to write; default downloads/NAME.")
def download(desk: Desk, name: str, out: Path | None) -> Outcome:
    """Fetch a public data set from its public home; checks it and shows its licence."""
    from models.logs.download import download as fetch

    folder = out or Path("downloads") / name
    fetched = fetch(name, folder, progress=desk.out.progress)
    desk.out.wrote(folder, f"the {name} log")
    for line in (*fetched.checked, fetched.licence):
        desk.out.say(line)
    return Outcome({"out": str(folder), "licence": fetched.licence, "checked": fetched.checked})


@verb(flags={"protocol": ("split", "protocol")})
@LOG
@click.option("--protocol", type=click.Choice(["time-split", "leave-one-out"]), help="Default: [split] protocol.")
@click.option("--out", type=A_PATH, required=True, metavar="DIR", help="Folder to write.")
def split(desk: Desk, interactions: Path, out: Path) -> Outcome:
    """Cut a log into train, validation and holdout, by time or by leaving each user's last ones out."""
    from models.splits.split import make_split

    made = make_split(interactions, out, desk.settings, desk.out.progress)
    desk.out.read(interactions, "the log")
    desk.out.wrote(out, f"{made.description.protocol}, {made.catalog_size:,} items in the catalog")
    return Outcome(made.description)
