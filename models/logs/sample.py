"""A synthetic interaction log with something to learn in it, or nothing, at the turn of a dial.

Items are popular by Zipf's law and fall into clusters; most have a few successors of their own cluster that
tend to follow them; users visit, follow successors, browse the cluster they like at the time, and drift
to another; what is popular moves. `signal` is the share of clicks made that way. The others are drawn by
popularity alone, so at 0 there is nothing else to learn.
"""

from pathlib import Path

import numpy as np
import polars as pl

from contracts.faults import UsageFault
from contracts.progress import Progress, silent
from models.logs.log_files import new_log_folder
from models.logs.synthetic import choose_items, draw_visits, make_crowd, make_world
from models.logs.titles import invent_titles

FIRST_SECOND = 1_700_000_000
SPAN_SECONDS = 60 * 86_400
STEPS, MAX_STEP = 40, 100_000
"""A log is made in at least STEPS steps of at most MAX_STEP rows; within a step popularity stands still."""


def write_sample(
    folder: Path,
    *,
    users: int,
    items: int,
    interactions: int,
    seed: int,
    signal: float,
    sessions: bool = False,
    progress: Progress = silent,
) -> None:
    """Write `interactions.csv` and `items.csv` into `folder`, whole or not at all.

    Timestamps are epoch seconds over 60 days and never go back. With `sessions` a visit is a session. The
    same arguments give the same bytes. Memory holds one step and the state of the users, whatever the size.
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
    item_ids = _ids("", items, width=6)
    user_ids = _ids("u", users, width=len(str(users)))
    with new_log_folder(folder, ("interactions.csv", "items.csv")) as draft:
        titles = invent_titles(rng, world.cluster)
        pl.DataFrame({"item_id": item_ids, "title": titles}).write_csv(draft / "items.csv")
        with (draft / "interactions.csv").open("wb") as handle:
            step = min(MAX_STEP, -(-interactions // STEPS))
            for done in range(0, interactions, step):
                progress("sampling interactions", done, interactions)
                span = done / interactions, min(done + step, interactions) / interactions
                clicks = min(step, interactions - done)
                who, seconds, visits = draw_visits(rng, crowd, *span, clicks, SPAN_SECONDS)
                what = choose_items(rng, world, crowd, who, span[0])
                rows = {"user_id": user_ids[who], "item_id": item_ids[what], "timestamp": FIRST_SECOND + seconds}
                rows |= {"session_id": visits} if sessions else {}
                pl.DataFrame(rows).write_csv(handle, include_header=done == 0)
    progress("sampling interactions", interactions, interactions)


def _ids(prefix: str, count: int, width: int) -> pl.Series:
    return pl.Series([f"{prefix}{number:0{width}d}" for number in range(1, count + 1)])
