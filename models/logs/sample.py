"""A synthetic interaction log with something to learn in it, or nothing, at the turn of a dial.

Items are popular by Zipf's law and fall into clusters; most have a few successors of their own cluster that
tend to follow them; users visit, follow successors, browse the cluster they like at the time, and drift
to another; what is popular moves. `signal` is the share of clicks made that way. The others are drawn by
popularity alone, so at 0 there is nothing else to learn.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from contracts.faults import UsageFault
from contracts.progress import Progress, silent
from models.logs.log_files import new_log_folder
from models.logs.synthetic import Crowd, World, choose_items, draw_visits, make_crowd, make_world
from models.logs.titles import invent_titles

FIRST_SECOND = 1_700_000_000
SPAN_SECONDS = 60 * 86_400
STEPS, MAX_STEP = 40, 100_000
"""A log is made in at least STEPS steps of at most MAX_STEP rows, or a tenth of the items if that is more, since
each step goes through all of them; within a step popularity stands still."""

FILES = ("interactions.csv", "items.csv", "items.parquet", "part-*.parquet")
_ID_DIGITS = 6

Kind = Literal["csv", "parquet"]


def write_sample(
    folder: Path,
    *,
    users: int,
    items: int,
    interactions: int,
    seed: int,
    signal: float,
    sessions: bool = False,
    kind: Kind = "csv",
    progress: Progress = silent,
) -> None:
    """Write `interactions.csv` and `items.csv` into `folder`, whole or not at all; as Parquet `items.parquet` and
    a part for each step, with the same content.

    Timestamps are epoch seconds over 60 days and never go back. With `sessions` a visit is a session. The
    same arguments give the same bytes. Memory holds one step, the items and the state of the users, however many
    the interactions: see docs/large-catalogs.md.
    Raises `UsageFault` for impossible sizes and for a folder that holds other things.
    """
    if min(users, items, interactions) < 1 or not 0 <= signal <= 1:
        raise UsageFault(
            f"cannot sample {users} users, {items} items, {interactions} interactions at signal {signal}; "
            "expected at least one of each and a signal from 0 to 1."
        )
    rng = np.random.default_rng(seed)
    world = make_world(rng, items, signal)
    crowd = make_crowd(rng, users, world)
    item_ids = _ids("", items, width=_id_width(items))
    user_ids = _ids("u", users, width=len(str(users)))
    write = _write_csv if kind == "csv" else _write_parquet
    with new_log_folder(folder, FILES) as draft:
        write(
            draft / f"items.{kind}",
            pl.DataFrame({"item_id": item_ids, "title": invent_titles(rng, world.cluster)}),
        )
        steps = _draw_steps(rng, world, crowd, interactions, progress)
        for number, (who, what, seconds, visits) in enumerate(steps):
            rows = {"user_id": user_ids[who], "item_id": item_ids[what], "timestamp": FIRST_SECOND + seconds}
            rows |= {"session_id": visits} if sessions else {}
            name = "interactions.csv" if kind == "csv" else f"part-{number:06d}.parquet"
            write(draft / name, pl.DataFrame(rows))
    progress("sampling interactions", interactions, interactions)


def _draw_steps(
    rng: np.random.Generator, world: World, crowd: Crowd, interactions: int, progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """User, item, second and visit of the interactions, step by step."""
    step = min(max(MAX_STEP, len(world.popularity) // 10), -(-interactions // STEPS))
    for done in range(0, interactions, step):
        progress("sampling interactions", done, interactions)
        span = done / interactions, min(done + step, interactions) / interactions
        who, seconds, visits = draw_visits(rng, crowd, *span, min(step, interactions - done), SPAN_SECONDS)
        yield who, choose_items(rng, world, crowd, who, span[0]), seconds, visits


def _write_csv(path: Path, rows: pl.DataFrame) -> None:
    """Behind what the file holds already."""
    with path.open("ab") as handle:
        rows.write_csv(handle, include_header=handle.tell() == 0)


def _write_parquet(path: Path, rows: pl.DataFrame) -> None:
    rows.write_parquet(path, compression="zstd", statistics=False)


def _id_width(items: int) -> int:
    return max(_ID_DIGITS, len(str(items)))


def _ids(prefix: str, count: int, width: int) -> pl.Series:
    """`prefix` and the numbers from 1 on, with zeros in front."""
    numbers = pl.int_range(1, count + 1, eager=True).cast(pl.String)
    return pl.Series([prefix], dtype=pl.String) + numbers.str.zfill(width)
