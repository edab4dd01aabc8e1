"""The export step: a trained run (or random weights) becomes graphs, one per variant, checked and sealed."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from contracts import item_numbers
from contracts.artifact import SCHEMA_VERSION, Artifact, Manifest, Training
from contracts.encoding import Catalog
from contracts.faults import UsageFault, VerdictIsNo
from contracts.graph import graph_inputs, graph_outputs
from contracts.progress import Progress, silent
from contracts.revision import code_revision
from contracts.sections import FP32, HEADS, JPQ_IVF, Export, Settings
from export.attempting import attempt_all
from export.graphs.graph import outline_of
from export.graphs.optimising import optimise
from export.graphs.outline import Outline
from export.graphs.scoring import Scoring, scoring_of
from export.heads.making import Head, Workshop
from export.sealing import Sealing
from export.variants.attempts import Attempt, compress, record_attempts
from export.variants.parity import check_parity
from export.variants.rewriting import CannotBeMade
from models.ladder import Model
from models.lesson import with_max_history
from models.refitting import whole_split
from models.runs import Run
from models.splits.interactions import group_by_user
from models.splits.questions import validation_questions
from models.splits.split import Split, open_split
from models.untrained import untrained
from service.predictor import OnnxPredictor

LIBRARIES = ("onnx", "onnxscript", "onnxruntime", "msgspec")
"""What export adds to the libraries that the run learned with."""

PARITY_HISTORIES, SHAPING_HISTORIES = 256, 4096
_ALL_HEADS = (*HEADS, JPQ_IVF)


def export_run(
    run: Run,
    settings: Settings,
    progress: Progress = silent,
    variants: Sequence[str] | None = None,
    figures_of: str = "",
) -> list[Attempt]:
    """Seal the run's model in `variants`, those of `[export]` unless told, and record what became of each.

    A run that is itself a compressed training has that one variant, and of a large catalog its head. Raises
    `VerdictIsNo` when the fp32 graph (of a compressed training, its own) and the model disagree; nothing is
    sealed then, and all that was asked for is recorded as failed. The others are compared with that graph,
    whether or not it is among what is asked for: a compressed one that is not close enough is a failed attempt
    and no fault. `figures_of` is the version of the artifact that a refit repeats.
    """
    split = _split_of(run)
    catalog = catalog_of(split.item_ids[: split.catalog_size], split, settings.paths.artifacts)
    histories, calibration = real_histories(split)
    settings = with_max_history(settings, run.description.settings["max-history"])
    manifest = replace(manifest_of_run(run, split, len(catalog), settings), figures_of=figures_of)
    popular = np.argsort(-run.popularity(), kind="stable")
    sealing = Sealing(manifest, catalog, popular, histories, settings)
    model = run.model()
    scoring = scoring_of(model, settings.training.max_history, settings.export.opset)
    asked = variants_of(settings.export, scoring) if variants is None else variants
    if manifest.variant != FP32:
        asked = variants_of_learned(manifest.variant, settings.export, scoring)
    try:
        attempts = attempt_all(
            sealing,
            lambda: _own_graph(sealing, model, scoring),
            lambda first: check_parity(first, model, histories),
            calibration,
            asked,
            progress,
            _workshop(asked, scoring, split, calibration),
        )
    except VerdictIsNo:
        record_attempts(settings.paths.artifacts, [_without_parity(manifest, variant) for variant in asked])
        raise
    record_attempts(settings.paths.artifacts, attempts)
    return attempts


def variants_of(export: Export, scoring: Scoring | None) -> tuple[str, ...]:
    """What is made of a run unless something else is asked: heads only of large catalogs of item embeddings."""
    is_large = scoring is not None and scoring.items >= export.heads_from
    return (*export.variants, *export.heads) if is_large else export.variants


def variants_of_learned(variant: str, export: Export, scoring: Scoring | None) -> tuple[str, ...]:
    """A compressed training has that variant; of a large catalog its head, too."""
    has_head = scoring is not None and "ivf" in export.heads and scoring.items >= export.heads_from
    return (variant, JPQ_IVF) if has_head else (variant,)


def _workshop(
    asked: Sequence[str], scoring: Scoring | None, split: Split, calibration: list[list[int]]
) -> Workshop | None:
    """Only where a head is asked for: its histories take the grouping of a whole log."""
    if scoring is None or set(asked).isdisjoint(_ALL_HEADS):
        return None
    return Workshop(scoring, training_histories(split), calibration)


def _split_of(run: Run) -> Split:
    """The split the run learned from, for its catalog. Another one may have been made in its place since."""
    split = open_split(run.split_folder())
    expected, found = run.description.split_sha256, split.description.sha256
    if found != expected:
        raise UsageFault(
            f"{run.folder} was trained on split {expected[:12]}, but {split.folder} now holds {found[:12]}: its "
            "catalog is another one. Train again on what is there, or split the first log there again."
        )
    return whole_split(split, run.description.parts) if run.description.refit_of else split


def export_untrained(
    name: str, items: int, settings: Settings, progress: Progress = silent, variant: str = FP32
) -> Artifact:
    """Seal random weights over a made-up catalog `0 .. items - 1`: for load tests only.

    The item numbers are the indices themselves; the table of real numbers is left alone. How close a
    compressed variant is to fp32 is not asked: random scores have no order to keep. Raises `UsageFault`
    where `name` (see `models.untrained.UNTRAINED`) has no such variant.
    """
    catalog = Catalog(list(map(str, range(items))), np.arange(items, dtype=np.uint32))
    rng = np.random.default_rng(settings.training.seed)
    histories = [rng.integers(items, size=settings.training.max_history).tolist() for _ in range(32)]
    rung, _, own = name.partition(":")
    manifest = replace(_manifest(rung, f"untrained-{items}", items, settings, None), variant=own or FP32)
    model = untrained(name, items, settings, settings.training.seed)
    sealing = Sealing(manifest, catalog, np.arange(items), histories, settings)
    progress(f"exporting {name}", 0, 1)
    scoring = scoring_of(model, settings.training.max_history, settings.export.opset)
    graph, of_manifest = _own_graph(sealing, model, scoring), {}
    try:
        with sealing.opened(manifest.variant, graph) as predictor:
            check_parity(predictor, model, histories)
            if variant in _ALL_HEADS:
                head = _untrained_head(variant, predictor, scoring, histories, settings)
                graph, of_manifest = head.graph, head.of_manifest
        if variant not in (FP32, *_ALL_HEADS):
            graph = compress(variant, graph, histories, settings.training.max_history)
    except CannotBeMade as reason:
        raise UsageFault(f"{name} has no variant {variant}: {reason}. Leave it out.") from reason
    artifact = sealing.seal(manifest.variant if variant == FP32 else variant, graph, **of_manifest)
    progress(f"exporting {name}", 1, 1)
    return artifact


def _untrained_head(
    variant: str, exact: OnnxPredictor, scoring: Scoring | None, histories: list[list[int]], settings: Settings
) -> Head:
    """Of random rows no block finds more than another: how many are probed says nothing about real ones. Raises
    `CannotBeMade`."""
    if scoring is None:
        raise CannotBeMade("the model has no item embeddings that could be searched")
    return Workshop(scoring, histories, histories).make(variant, exact, settings)


def _own_graph(sealing: Sealing, model: Model, scoring: Scoring | None) -> Outline:
    """The graph of the model as it was learned, optimised."""
    settings = sealing.settings
    graph = outline_of(model, settings.training.max_history, settings.export.opset, scoring)
    return optimise(graph, sealing.draft)


def _without_parity(manifest: Manifest, variant: str) -> Attempt:
    """Of a graph that is not what was learned no variant can be trusted."""
    why = f"the {manifest.variant} graph and the trained model disagree"
    return Attempt(manifest.rung, variant, "failed", why, None, None, None, manifest.run)


def catalog_of(item_ids: list[str], split: Split, artifacts: Path) -> Catalog:
    """The catalog of these items with the split's titles and their item numbers; items that are new get one."""
    table = item_numbers.append(artifacts, item_ids)
    title_of = dict(zip(split.item_ids, split.titles, strict=True)) if split.titles else {}
    titles = [title_of.get(item, "") for item in item_ids] if title_of else []
    return Catalog(item_ids, item_numbers.numbers_of(table, item_ids), titles)


def real_histories(split: Split) -> tuple[list[list[int]], list[list[int]]]:
    """Item indices of users from the validation part, spread evenly over them: those that parity is held on, and
    those that calibrate, other ones where there are enough. Where nobody there has a history, of the train
    part."""
    histories = [h[h < split.catalog_size] for h in validation_questions(split).histories]
    known = [history.tolist() for history in histories if len(history)]
    if not known:
        learned = group_by_user(split.train, len(split.user_ids))
        known = [learned.of(user).tolist() for user in np.unique(split.train.users)]
    step = max(1, len(known) // PARITY_HISTORIES)
    return known[::step][:PARITY_HISTORIES], known[step // 2 :: step][:PARITY_HISTORIES]


def training_histories(split: Split) -> list[list[int]]:
    """Item indices of users from the train part, spread evenly over them: `SHAPING_HISTORIES` of them at most."""
    learned = group_by_user(split.train, len(split.user_ids))
    users = np.unique(split.train.users)
    step = max(1, len(users) // SHAPING_HISTORIES)
    histories = [learned.of(user) for user in users[::step][:SHAPING_HISTORIES]]
    return [history[history < split.catalog_size].tolist() for history in histories]


def _manifest(rung: str, run: str, items: int, settings: Settings, training: Training | None) -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        rung=rung,
        variant=FP32,
        run=run,
        items=items,
        max_history=settings.training.max_history,
        repeat_policy="mask",
        opset=settings.export.opset,
        inputs=graph_inputs(settings.training.max_history),
        outputs=graph_outputs(),
        training=training,
    )


def manifest_of_run(run: Run, split: Split, items: int, settings: Settings) -> Manifest:
    """The manifest of what the run learned from the split, before anything is sealed."""
    manifest = _manifest(run.description.rung, run.folder.name, items, settings, _training(run, split))
    return replace(manifest, variant=run.description.variant, repeat_policy=run.description.repeat_policy)


def _training(run: Run, split: Split) -> Training:
    description = run.description
    return Training(
        log_sha256=description.log_sha256,
        split_sha256=description.split_sha256,
        protocol=description.protocol,
        parts=description.parts,
        interactions=len(split.train),
        users=len(np.unique(split.train.users)),
        seed=description.seed,
        settings=msgspec.to_builtins(description.settings),
        chosen=description.chosen,
        policies=description.policies,
        code_revision=code_revision(),
        libraries=description.libraries | {library: version(library) for library in LIBRARIES},
    )
