"""The logs, models and artifacts of `make bench-catalog`: made once with the command line, as a user would.

The folder of a catalog holds `flyweight.toml`, `log/`, `cut/`, `runs/`, `artifacts/`, and `made.json` once all of
that is there. A folder of this layout that was prepared by hand is used as it is where a `made.json` is written
into it: `{"plan": {"items": 1000000, "users": 500000, "interactions": 10000000}, "log": "/elsewhere/log"}`.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl

from contracts import durable
from contracts.artifact import Artifact, sealed_artifacts
from contracts.faults import UsageFault
from loadtests.command_line import ROOT, flyweight
from loadtests.long_runs import tell, today
from loadtests.peers.catalog_plans import EXACT, JPQ, POPULARITY, Plan
from loadtests.traffic import read_traffic

MADE = "made.json"
CONFIG = "flyweight.toml"
_SERVED_VARIANTS = (EXACT, JPQ.partition(":")[2], "scann", "int8-rerank", "int4-rerank", "ivf")


class Made(msgspec.Struct, frozen=True):
    """The content of `made.json`. `log` is relative to its folder. `by_hand` says how, where it was."""

    plan: Plan
    log: str = "log"
    date: str = ""
    by_hand: str = ""


def make(plan: Plan, folder: Path) -> Made:
    """What `folder` holds: made now, which takes minutes to hours, unless it was made before; a making that was
    interrupted goes on.

    Raises `Fault` with the words of the command that failed, `UsageFault` where another catalog lies there.
    """
    if (made := _read_made(folder)) is not None:
        if made.plan.items != plan.items:
            raise UsageFault(
                f"{folder / MADE} is of {made.plan.items:,} items, expected {plan.items:,}. Name another --folder."
            )
        return made
    durable.write_bytes(folder / CONFIG, plan.config.encode())
    for words in _steps(plan, folder):
        tell(f"{plan.items:,} items: flyweight {' '.join(map(str, words))}")
        flyweight([*words, "--config", folder / CONFIG], {}, folder)
    made = Made(plan, date=today())
    durable.write_bytes(folder / MADE, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    return made


def _read_made(folder: Path) -> Made | None:
    path = folder / MADE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Made)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise UsageFault(
            f"{path} cannot be read: {error}. Mend it, or remove it to have all made again."
        ) from error


def _steps(plan: Plan, folder: Path) -> Iterator[list[object]]:
    """The commands that are still to be run, each asked for once those before it have ended."""
    log, cut = folder / "log", folder / "cut"
    if not log.exists():
        shape = ["--users", plan.users, "--items", plan.drawn or plan.items, "--interactions", plan.interactions]
        yield ["sample", *shape, "--format", plan.format, "--out", log]
    if not cut.exists():
        yield ["split", "--interactions", log, "--out", cut]
    for rung in plan.rungs:
        yield ["train", "--split", cut, "--rung", rung]  # one that is finished is reused
        if not _is_exported(rung, folder):
            yield ["export", "--rung", rung]
    if plan.measured:
        yield ["measure"]


def _is_exported(rung: str, folder: Path) -> bool:
    """What is made of a run is sealed first in its own precision; the record of all of it is written last."""
    name, _, variant = rung.partition(":")
    sealed = [a for a in sealed_artifacts(folder / "artifacts") if a.name == f"{name}:{variant or EXACT}"]
    return any((folder / "artifacts" / f"variants-{a.manifest.run}.json").exists() for a in sealed)


def served_artifacts(folder: Path) -> list[Artifact]:
    """The newest of each name: exact graphs and heads, no popular list, no other precision, nothing refitted."""
    newest = {
        artifact.name: artifact
        for artifact in sealed_artifacts(folder / "artifacts")
        if artifact.manifest.variant in _SERVED_VARIANTS
        and artifact.manifest.rung != POPULARITY
        and artifact.manifest.training
        and not artifact.manifest.figures_of
    }
    return sorted(newest.values(), key=lambda a: (a.manifest.rung, _SERVED_VARIANTS.index(a.manifest.variant)))


def promote(artifact: Artifact, folder: Path) -> None:
    """Unless it is promoted already: all its files are read for that, and packed anew."""
    pointer = artifact.path.parent / "promoted"
    if pointer.exists() and pointer.read_text().strip() == artifact.path.name:
        return
    flyweight(["promote", artifact.path, "--force", "--config", folder / CONFIG], {}, ROOT)


class Users(msgspec.Struct, frozen=True):
    """Real users whose histories are in the feature cache. `traffic`: for `flyweight loadtest`; `ids`: for wrk."""

    traffic: Path
    ids: Path
    count: int


def fill_with_users(made: Made, folder: Path, count: int, redis_url: str, scratch: Path) -> Users:
    """`flyweight materialize` with the rows of `count` users of the log, or all where there are fewer.

    Something of the folder must be promoted. Users of whom the catalog knows no item are not asked for.
    """
    some, traffic, ids = scratch / "some-users", scratch / "traffic.json", scratch / "users.txt"
    write_log_of_some(folder / made.log, count, some)
    words = ["materialize", "--interactions", some, "--traffic", traffic, "--config", folder / CONFIG]
    flyweight(words, {"REDIS_URL": redis_url}, ROOT)
    known = [user.user_id for user in read_traffic(traffic).users]
    durable.write_bytes(ids, b"".join(msgspec.json.encode(user) + b"\n" for user in known))
    return Users(traffic, ids, len(known))


def write_log_of_some(log: Path, count: int, out: Path) -> None:
    """The rows of users evenly spread over the sorted ids, in the order and the format of the log."""
    out.mkdir()
    of_csv = sorted(log.glob("interactions.csv*"))
    rows = (
        pl.scan_csv(of_csv, infer_schema=False) if of_csv else pl.scan_parquet(sorted(log.glob("part-*.parquet")))
    )
    ids = rows.select(pl.col("user_id").unique()).collect(engine="streaming")["user_id"].sort()
    chosen = ids.gather_every(max(1, len(ids) // count)).head(count)
    some = rows.filter(pl.col("user_id").is_in(chosen.implode())).collect(engine="streaming")
    if of_csv:
        some.write_csv(out / "interactions.csv")
    else:
        some.write_parquet(out / "part-000000.parquet")
