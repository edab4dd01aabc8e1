"""The adopting step: a graph that somebody brought along becomes a run and artifacts."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from contracts.encoding import PADDING, RepeatPolicy
from contracts.faults import UsageFault
from contracts.progress import Progress, silent
from contracts.sections import Settings
from export.adopting.behaviour import check_behaviour
from export.adopting.own_graph import OwnGraph
from export.adopting.sameness import check_wrapped
from export.adopting.signature import opset_of, read_graph, signature_of
from export.adopting.wrapping import wrap
from export.attempting import attempt_all
from export.exporting import catalog_of, manifest_of_run, real_histories
from export.graphs.optimising import optimise
from export.graphs.outline import outlined
from export.sealing import Sealing
from export.variants.attempts import Attempt, record_attempts
from models.adopted import record_adopted
from models.ladder import RUNGS
from models.lesson import with_history_of, with_max_history
from models.runs import Run
from models.splits.questions import validation_questions
from models.splits.split import Split
from models.training import train
from models.validating import Validation

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def adopt(
    path: Path,
    name: str,
    split: Split,
    settings: Settings,
    catalog: Path | None = None,
    progress: Progress = silent,
) -> tuple[Run, list[Attempt]]:
    """Check the graph at `path`, decide its repeat policy on the validation part, and seal it in the variants of
    `[export]`. Its items are those of the split's catalog in their order, or the lines of the file `catalog`.

    It must have learned from the train part alone: nobody can check that. Raises `UsageFault` for what cannot be
    served, and `VerdictIsNo` for a graph that does not answer as it should; nothing is sealed then.
    """
    refuse_name(name)
    model = read_graph(path)
    signature = signature_of(model)
    item_ids = read_catalog(catalog) if catalog else list(split.item_ids[: split.catalog_size])
    length = signature.length or with_history_of(split, settings).training.max_history
    settings = with_max_history(settings, length)
    to_own = _own_indices(item_ids, split)
    own = OwnGraph(model, signature, len(item_ids), length)
    histories, calibration = (_in_own(part, to_own) for part in real_histories(split))
    progress(f"checking {name}", 0, 1)
    check_behaviour(own, histories[: own.at_once], settings.training.seed)
    progress(f"checking {name}", 1, 1)
    baseline = train(split, "popularity", settings, progress)
    popular = np.argsort(-_popularity(baseline, to_own, len(item_ids)), kind="stable")
    identity = {
        "max-history": length,
        "graph-sha256": hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        "catalog-sha256": hashlib.sha256("\n".join(item_ids).encode()).hexdigest(),
    }
    policies = _policies(own, split, to_own)
    made_by = {model.producer_name: model.producer_version} if model.producer_name else {}
    run = record_adopted(name, baseline, identity, policies, made_by, settings)
    manifest = manifest_of_run(run, split, len(item_ids), settings)
    sealing = Sealing(
        replace(manifest, opset=opset_of(model)),
        catalog_of(item_ids, split, settings.paths.artifacts),
        popular,
        histories,
        settings,
    )
    attempts = attempt_all(
        sealing,
        lambda: optimise(outlined(wrap(model, signature, length, popular)), sealing.draft),
        lambda sealed: check_wrapped(sealed, own, histories[: own.at_once]),
        calibration,
        settings.export.variants,
        progress,
    )
    record_attempts(settings.paths.artifacts, attempts)
    return run, attempts


def refuse_name(name: str) -> None:
    """Raise `UsageFault` for a name that no artifact can have, or that is one of the ladder's."""
    if not _NAME.fullmatch(name) or name in RUNGS:
        raise UsageFault(
            f"cannot call it {name!r}; expected lower case letters, digits and single dashes, and none of "
            f"{', '.join(RUNGS)}. Say another --name."
        )


def read_catalog(path: Path) -> list[str]:
    """The item ids in index order, one a line. Raises `UsageFault`."""
    try:
        with path.open(encoding="utf-8") as lines_of_text:
            item_ids = [line.rstrip("\n") for line in lines_of_text]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(f"{path} cannot be read as UTF-8 text: {error}. Expected one item id a line.") from error
    lines: dict[str, int] = {}
    for number, item_id in enumerate(item_ids, start=1):
        if not item_id or item_id in lines:
            found = f"{item_id!r} again, as in line {lines[item_id]}" if item_id else "nothing"
            raise UsageFault(f"{path}, line {number}: found {found}, expected an item id, each once.")
        lines[item_id] = number
    if not item_ids:
        raise UsageFault(f"{path} is empty, expected one item id a line, in the order of the graph's indices.")
    return item_ids


def _own_indices(item_ids: Sequence[str], split: Split) -> np.ndarray:
    """int64 `[codes]`: the graph's index of each item of the log, PADDING where it knows none."""
    index_of = {item_id: index for index, item_id in enumerate(item_ids)}
    found = np.array([index_of.get(item_id, PADDING) for item_id in split.item_ids], dtype=np.int64)
    if not (found[: split.catalog_size] != PADDING).any():
        raise UsageFault(
            f"the catalog begins with {', '.join(map(repr, item_ids[:3]))} and holds no item of the log, whose "
            f"ids are as {', '.join(map(repr, split.item_ids[:3]))}. Name the file with the ids of this log."
        )
    return found


def _in_own(histories: Sequence[Sequence[int]], to_own: np.ndarray) -> list[list[int]]:
    mapped = [to_own[list(history)] for history in histories]
    return [kept.tolist() for history in mapped if len(kept := history[history != PADDING])] or [[0]]


def _popularity(baseline: Run, to_own: np.ndarray, items: int) -> np.ndarray:
    """float32 [items] in the order of the graph; what the log does not hold has none."""
    popularity, found = np.zeros(items, dtype=np.float32), baseline.popularity()
    known = to_own[: len(found)]
    popularity[known[known != PADDING]] = found[known != PADDING]
    return popularity


def _policies(own: OwnGraph, split: Split, to_own: np.ndarray) -> tuple[RepeatPolicy, dict[RepeatPolicy, float]]:
    """The repeat policy that suits the graph best on the validation part, as every training decides it."""
    questions, items = validation_questions(split), split.catalog_size
    validation = Validation(questions.histories, questions.next_items(), items, own.max_history, questions.groups)
    known = np.flatnonzero(to_own[:items] != PADDING)

    def scores_of(encoded: np.ndarray) -> np.ndarray:
        histories = [to_own[row[row != PADDING]] for row in encoded]
        answers = own.ask([history[history != PADDING].tolist() for history in histories])
        by_own = answers.scores
        if answers.items is not None:
            by_own = np.full((len(encoded), own.items), -np.inf, dtype=np.float32)
            np.put_along_axis(by_own, answers.items, answers.scores, axis=1)
        scores = np.full((len(encoded), items), -np.inf, dtype=np.float32)
        scores[:, known] = by_own[:, to_own[known]]
        return scores

    return validation.best_policy(scores_of)
