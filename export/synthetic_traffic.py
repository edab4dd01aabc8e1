"""Users without any data: histories for catalogs of any size, so that an artifact can be put under load.

After algorithm 1 of ETUDE (B. Kersbergen, O. Sprangers, S. Schelter, ICDE 2024): how often each item is clicked
follows a power law, and so does the length of a session; items are drawn by inverse transform from the clicks.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from contracts import durable
from contracts.artifact import Artifact
from contracts.events import partition_of
from contracts.progress import Progress, silent
from contracts.sections import Settings
from export.materialize import TRAFFIC_VERSION, Materialized, Traffic, TrafficUser, fill_feature_cache
from service.filling import History

_PROGRESS_EVERY = 5000
_CLICK_EVERY_MS = 30_000


def synthetic_histories(
    items: int, users: int, longest: int, *, length_exponent: float, popularity_exponent: float, seed: int
) -> list[np.ndarray]:
    """`users` arrays of item indices, newest last, of 1 to `longest` items each. Both exponents are above 1."""
    random = np.random.default_rng(seed)
    clicks = (1 - random.random(items)) ** (-1 / (popularity_exponent - 1))
    clicked_so_far = np.cumsum(clicks)
    lengths = np.arange(1, longest + 1)
    shares = lengths**-length_exponent
    of_each = random.choice(lengths, size=users, p=shares / shares.sum())
    drawn = np.searchsorted(clicked_so_far, random.random(of_each.sum()) * clicked_so_far[-1])
    return np.split(np.minimum(drawn, items - 1), np.cumsum(of_each)[:-1])


def materialize_synthetic(
    artifact: Artifact,
    users: int,
    settings: Settings,
    redis_url: str,
    out: Path | None,
    progress: Progress = silent,
) -> tuple[Materialized, Traffic | None]:
    """Fill the feature cache with users of `artifact`'s catalog, and write their traffic file to `out`.

    Raises `RunNotValid` when the feature cache does not take them.
    """
    catalog, load = artifact.catalog, settings.loadtest
    histories = synthetic_histories(
        len(catalog.item_ids),
        users,
        settings.features.history_length,
        length_exponent=load.session_exponent,
        popularity_exponent=load.popularity_exponent,
        seed=settings.training.seed,
    )

    now_ms = int(time.time() * 1000)

    def rows() -> Iterator[History]:
        together = sorted(range(users), key=lambda number: partition_of(_name(number)))  # written in fewer calls
        for done, number in enumerate(together):
            history = histories[number]
            times_ms = now_ms - _CLICK_EVERY_MS * np.arange(len(history))[::-1]
            yield History(_name(number), catalog.item_numbers[history], times_ms)
            if done % _PROGRESS_EVERY == 0:
                progress("filling the feature cache", done, users)
        progress("filling the feature cache", users, users)

    written, memory = fill_feature_cache(redis_url, rows(), len(catalog), settings, replace=True)
    filled = Materialized(written, sum(map(len, histories)), 0, memory)
    return filled, _write_traffic(catalog.item_ids, histories, out) if out else None


def _write_traffic(ids: Sequence[str], histories: list[np.ndarray], out: Path) -> Traffic:
    known = [TrafficUser(_name(n), [ids[item] for item in history]) for n, history in enumerate(histories)]
    known.sort(key=lambda user: -len(user.history))
    traffic = Traffic(TRAFFIC_VERSION, list(ids), known, [])
    durable.write_bytes(out, msgspec.json.encode(traffic))
    return traffic


def _name(number: int) -> str:
    return f"synthetic-{number}"
