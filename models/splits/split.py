"""The log cut into train, validation and the holdout that only measuring may look at."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from contracts import durable
from contracts.faults import LogFault, UsageFault
from contracts.interaction import ITEM_ID, USER_ID
from contracts.progress import Progress, silent
from contracts.sections import Settings
from models.logs.checks import ensure_trainable
from models.logs.log import TITLE, Log, read_log
from models.logs.log_files import find_log_files
from models.splits.codes import interactions_by_code
from models.splits.cutting import HOLDOUT, TRAIN, cut_by_time, cut_last_out
from models.splits.interactions import Interactions
from models.splits.split_files import (
    DESCRIPTION,
    ITEMS,
    PARTS,
    SCHEMA_VERSION,
    USERS,
    PartDescription,
    SplitDescription,
    read_description,
    read_part,
    read_table,
    write_split,
)  # fmt: skip


@dataclass(frozen=True)
class Split:
    """An opened split. Item codes below `catalog_size` are item indices of the catalog; those from there on
    are items that train never saw. `titles` is as long as `item_ids`, or empty when the log has none."""

    folder: Path
    description: SplitDescription
    item_ids: list[str]
    catalog_size: int
    titles: list[str]
    user_ids: list[str]
    train: Interactions
    validation: Interactions

    def holdout(self) -> Interactions:
        """Read from disk at each call. For measuring and evaluation only; training never calls it."""
        return read_part(self.folder, self.description, PARTS[HOLDOUT])


def split_identity(log_sha256: str, settings: Settings) -> str:
    """sha256 over the content of the log and every setting that decides which row falls into which part."""
    decisive = [SCHEMA_VERSION, log_sha256, settings.split, settings.log]
    return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()


def default_split_folder(runs: Path, identity: str) -> Path:
    """Where a split lies that was made on the way, without `--out`."""
    return runs / "splits" / identity[:12]


def make_split(path: Path, out: Path, settings: Settings, progress: Progress = silent) -> Split:
    """Read and check the log at `path`, cut it in three, and publish the folder `out` whole or not at all.

    Where `out` holds this very split already, it is opened and the log is not read again. Raises `LogFault`
    for a log that cannot be read, `VerdictIsNo` for one that cannot be trained on, and `UsageFault` rather
    than replace a folder that is no split.
    """
    log_sha256 = find_log_files(path).sha256()
    identity = split_identity(log_sha256, settings)
    standing = _standing_split(out, identity)
    if standing:
        durable.remove_leftovers(out)
        return standing
    log = read_log(path, settings.log, sha256=log_sha256, progress=progress)
    ensure_trainable(log.report)
    progress("cutting the log", 0, 1)
    with durable.new_directory(out) as draft:
        _cut_and_write(draft, log, settings, identity)
        del log
    progress("cutting the log", 1, 1)
    return open_split(out)


def split_log(path: Path, settings: Settings, progress: Progress = silent) -> Split:
    """The split of a log at its default place, made now unless it is there already. Raises as `make_split`."""
    identity = split_identity(find_log_files(path).sha256(), settings)
    return make_split(path, default_split_folder(settings.paths.runs, identity), settings, progress)


def open_split(folder: Path) -> Split:
    """Open a split without looking at its holdout.

    Raises `LogFault` for one that is missing, damaged or of another version.
    """
    description = read_description(folder)
    items = read_table(folder, description, ITEMS)
    titles = items["title"].to_list()
    train, validation = (read_part(folder, description, name) for name in PARTS[:HOLDOUT])
    return Split(
        folder=folder,
        description=description,
        item_ids=items["item_id"].to_list(),
        catalog_size=description.items,
        titles=titles if any(titles) else [],
        user_ids=read_table(folder, description, USERS)["user_id"].to_list(),
        train=train,
        validation=validation,
    )


def _standing_split(out: Path, identity: str) -> Split | None:
    """The split with this identity at `out`, or None where a new one may be put."""
    if not (out / DESCRIPTION).exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageFault(f"{out} is no split and would be replaced. Name another folder, or move it away.")
        return None
    try:
        split = open_split(out)
        split.holdout()
    except LogFault:
        return None
    return split if split.description.sha256 == identity else None


def _cut_and_write(folder: Path, log: Log, settings: Settings, identity: str) -> None:
    part_of, cutoffs = _cut(log, settings)
    in_train = np.bincount(
        log.frame["item_id"].to_physical().to_numpy()[part_of == TRAIN], minlength=log.report.items
    )
    order = np.argsort(-in_train, kind="stable")  # of equal counts the smaller id: the codes follow the text
    catalog_size = int((in_train > 0).sum())
    code_of = np.empty(len(order), dtype=np.int32)
    code_of[order] = np.arange(len(order), dtype=np.int32)
    rows = interactions_by_code(log, np.arange(log.report.users, dtype=np.int32), code_of)
    parts = {name: rows.take(part_of == number) for number, name in enumerate(PARTS)}
    outside = np.unique(parts[PARTS[HOLDOUT]].items) >= catalog_size
    description = SplitDescription(
        schema_version=SCHEMA_VERSION,
        sha256=identity,
        log_sha256=log.sha256,
        protocol=settings.split.protocol,
        validation_cutoff=cutoffs[0],
        holdout_cutoff=cutoffs[1],
        parts={name: PartDescription(len(part), len(np.unique(part.users))) for name, part in parts.items()},
        users=log.report.users,
        items=catalog_size,
        holdout_items_outside_catalog=int(outside.sum()),
        has_sessions=rows.has_sessions,
        timestamp_kind=log.report.timestamp_kind,
    )
    del rows
    item_ids = log.frame[ITEM_ID].dtype.categories.gather(order).rename(ITEM_ID)
    titled = item_ids.to_frame().join(log.titled, on=ITEM_ID, how="left", maintain_order="left")
    user_ids = log.frame[USER_ID].dtype.categories
    write_split(folder, description, parts, user_ids, item_ids, titled[TITLE].fill_null(""))


def _cut(log: Log, settings: Settings) -> tuple[np.ndarray, tuple[int | None, int | None]]:
    """Part of each row, and the cutoffs where the protocol has them."""
    if settings.split.protocol == "leave-one-out":
        return cut_last_out(log.frame["user_id"].to_physical().to_numpy()), (None, None)
    part_of, *cutoffs = cut_by_time(
        log.frame["timestamp"].to_numpy(), settings.split.validation_percent, settings.split.holdout_percent
    )
    return part_of, (cutoffs[0], cutoffs[1])
