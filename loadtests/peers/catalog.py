"""What a large catalog with learned embeddings costs to serve, exact and through heads, from 10,000 items up.

`python -m loadtests.peers.catalog` makes the catalogs that are not there yet, serves every artifact of each and
writes `reports/catalog.json`, its path the last line after a table in Markdown, and three pictures. Sizes that are
not asked for keep their figures of an earlier run on the same machine. Load generator and service share the cores.
Exit code 3 when an artifact gave no honest figure; the others are written all the same.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import click
import msgspec

from contracts import durable
from contracts.artifact import Artifact
from contracts.faults import Fault, RunNotValid
from contracts.machine import cores, cpu_model
from contracts.settings import read_settings
from loadtests.long_runs import ending_well, tell, today, write_json
from loadtests.peers import catalog_load, figures, measuring, wrk
from loadtests.peers.catalog_pictures import pictures
from loadtests.peers.catalog_plans import PLANS, Plan, plans_of
from loadtests.peers.catalog_rows import (
    Failure,
    Report,
    Row,
    Target,
    is_exact,
    left_out_of,
    ndcg_of,
    recall_of,
    with_earlier,
)
from loadtests.peers.catalog_table import markdown
from loadtests.peers.catalog_worlds import CONFIG, Users, fill_with_users, make, promote, served_artifacts
from loadtests.peers.contenders import running
from loadtests.peers.usage import resident_mb
from loadtests.peers.world import World
from service.embedded_redis import embedded_redis

_SERVICE = "flyweight-shortcut"
_ALONE = {"FLYWEIGHT_SERVICE_DRAIN_SECONDS": "0"}
"""Nobody else asks the service when it is to end."""
_PATIENT = _ALONE | {"FLYWEIGHT_SERVICE_DEADLINE_MS": "3000"}
"""Of the passes that ask for throughput: with 64 connections a slow graph answers late on purpose. The open load
tests are of services with the default deadline."""
CONNECTIONS, FEW_CONNECTIONS = 64, 4
_FEW_FROM = 10_000_000
"""From so many items on an exact graph is asked by few, or the last in a row waits longer than any deadline."""


class Effort(msgspec.Struct, frozen=True):
    """Every artifact is started `rounds` times and asked for so many seconds each time; its open load tests take
    `load_seconds`. `users`: whose histories are in the feature cache, at most."""

    seconds: int
    rounds: int
    load_seconds: int
    users: int
    load_from: int = catalog_load.VERDICT_AT


def run(plans: Sequence[Plan], base: Path, effort: Effort, command: str, keep: Callable[[Report], None]) -> Report:
    """Measure all artifacts of the catalogs in `base`; `keep` gets the report as it is after each of them.

    Raises `Fault` where there is no wrk.
    """
    wrk.require_wrk()
    report = Report(cpu_model(), cores(), command, effort.seconds, effort.rounds, CONNECTIONS, {}, [], [])
    for plan in plans:
        report.plans[plan.items] = plan
        try:
            _measure_catalog(plan, base / str(plan.items), effort, report, keep)
        except Fault as why:
            _fail(report, plan, "", why)
        keep(report)
    return report


def _measure_catalog(
    plan: Plan, folder: Path, effort: Effort, report: Report, keep: Callable[[Report], None]
) -> None:
    made = make(plan, folder)
    report.plans[plan.items] = made.plan
    artifacts = served_artifacts(folder)
    report.left_out += [why for a in artifacts if is_exact(a) for why in left_out_of(plan.items, a)]
    if not artifacts:
        raise RunNotValid(f"{folder / 'artifacts'} holds no artifact of a trained run to serve.")
    with tempfile.TemporaryDirectory(prefix="catalog-") as name, embedded_redis(Path(name, "redis")) as redis:
        scratch = Path(name)
        promote(artifacts[0], folder)
        users = fill_with_users(made, folder, effort.users, redis, scratch)
        for artifact in artifacts:
            tell(f"{plan.items:,} items, {artifact.name}")
            world = World(artifact.name, (folder / CONFIG).resolve(), artifact, redis)
            try:
                promote(artifact, folder)
                report.rows.append(_measure_artifact(plan.items, world, users, effort, scratch))
                if plan.items >= effort.load_from and not _would_search_in_vain(plan.items, artifact):
                    target = _load(plan.items, world, users, effort, scratch)
                    report.rows[-1] = msgspec.structs.replace(report.rows[-1], target=target)
            except (Fault, OSError) as why:
                _fail(report, plan, artifact.name, why)
            keep(report)


def _measure_artifact(size: int, world: World, users: Users, effort: Effort, scratch: Path) -> Row:
    """Raises `Fault` where it does not come up or its answers are not what was asked for."""
    artifact, passes, ready, resident = world.artifact, [], [], []
    exact = is_exact(artifact)
    for round_ in range(1, effort.rounds + 1):
        folder = Path(tempfile.mkdtemp(dir=scratch))
        with running(_SERVICE, world, folder, variables=_PATIENT) as service:
            measuring.refuse_another(service.url, artifact.version)
            connections = FEW_CONNECTIONS if exact and size >= _FEW_FROM else CONNECTIONS
            asked = {"connections": connections, "seconds": effort.seconds, "ids": users.ids}
            passes.append(measuring.measure(service, world.model, round_=round_, **asked))
            resident.append(resident_mb(service.family()))
            ready.append(service.ready_seconds)
    (measured,) = figures.medians(passes)
    tell(f"  {measured.rps:,.0f} requests/s, p99 {measured.p99_ms:.1f} ms, {measured.cpu_us / 1e3:.2f} ms of CPU")
    recall, curve = recall_of(artifact)
    return Row(
        size=size, artifact=artifact.name, version=artifact.version, date=today(), items=artifact.manifest.items,
        artifact_mb=artifact.size_bytes / 1e6, users=users.count, ready_seconds=median(ready),
        resident_mb=median(resident), measured=measured, recall=recall, curve=curve, ndcg=ndcg_of(artifact),
    )  # fmt: skip


def _would_search_in_vain(size: int, artifact: Artifact) -> bool:
    """Of an exact graph where a single answer takes longer than any objective allows."""
    return size >= catalog_load.CAPACITY_FROM and is_exact(artifact)


def _load(size: int, world: World, users: Users, effort: Effort, scratch: Path) -> Target:
    """Raises `Fault` where there is no verdict."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    with running(_SERVICE, world, folder, variables=_ALONE) as service:
        measuring.refuse_another(service.url, world.artifact.version)
        target = catalog_load.try_load(service.url, users, size, effort.load_seconds, folder)
    tell(f"  {catalog_load.in_words(target)}")
    return target


def _fail(report: Report, plan: Plan, artifact: str, why: Exception) -> None:
    tell(f"  {artifact or 'this catalog'}: no figure. {why}")
    report.failures.append(Failure(plan.items, artifact, str(why)))


def write(report: Report, out: Path, plots: Path) -> None:
    """The report, and the pictures into the folder `plots`."""
    write_json(report, out)
    for name, content in pictures(report).items():
        durable.write_bytes(plots / f"{name}.svg", content)


@click.command()
@click.option("--sizes", default=",".join(map(str, PLANS)), show_default=True, metavar="N,N", help="Catalogs.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path),
    help="Holds a folder per size, named like it. Default: bench/catalog under [paths] runs.",
)  # fmt: skip
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True, help="Of every timed pass.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--load-seconds", type=click.IntRange(1), default=30, show_default=True, help="Of every open load test."
)
@click.option("--users", type=click.IntRange(2), default=20_000, show_default=True, help="In the feature cache.")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), default="docs/pictures", show_default=True
)
def main(
    sizes: str, folder: Path | None, seconds: int, rounds: int, load_seconds: int, users: int, plots: Path
) -> None:
    """Measure large catalogs. Exit codes: 0; 2 usage; 3 something gave no honest figure; 4 internal error."""
    with ending_well("catalog"):
        paths = read_settings().paths
        out, base = paths.reports / "catalog.json", folder or paths.runs / "bench" / "catalog"
        plans, effort = plans_of(sizes), Effort(seconds, rounds, load_seconds, users)
        words = (
            f"--sizes {sizes} --seconds {seconds} --rounds {rounds} --load-seconds {load_seconds} --users {users}"
        )

        def keep(report: Report) -> None:
            write(with_earlier(report, out), out, plots)

        found = run(plans, base.resolve(), effort, f"python -m loadtests.peers.catalog {words}", keep)
        print(markdown(with_earlier(found, out)))
        print(out)
        if found.failures:
            first = found.failures[0]
            raise RunNotValid(
                f"{len(found.failures)} gave no honest figure, the first {first.artifact or 'any'} of "
                f"{first.size:,} items: {first.why}"
            )


if __name__ == "__main__":
    main()
