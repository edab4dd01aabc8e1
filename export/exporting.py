"""The export step: a trained run (or random weights) becomes graphs, one per variant, checked and sealed."""

from collections.abc import Callable, Sequence
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
from contracts.sections import FP32, Settings
from export.graphs.graph import outline_of
from export.graphs.optimising import optimise
from export.graphs.outline import Outline
from export.sealing import Sealing
from export.variants.attempts import Attempt, compress, record_attempts
from export.variants.parity import TOLERANCES, Closeness, check_parity, compare
from export.variants.rewriting import CannotBeMade
from models.ladder import RUNGS, Model
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

PARITY_HISTORIES = 256


def export_run(
    run: Run,
    settings: Settings,
    progress: Progress = silent,
    variants: Sequence[str] | None = None,
    figures_of: str = "",
) -> list[Attempt]:
    """Seal the run's model in `variants`, those of `[export]` unless told, and record what became of each.

    A run that is itself a compressed training has that one variant. Raises `VerdictIsNo` when the fp32 graph
    (of a compressed training, its own) and the model disagree; nothing is sealed then, and all that was asked
    for is recorded as failed. The others are compared with that graph, whether or not it is among what is asked
    for: a compressed one that is not close enough is a failed attempt and no fault. `figures_of` is the version
    of the artifact that a refit repeats.
    """
    split = _split_of(run)
    catalog = catalog_of(split.item_ids[: split.catalog_size], split, settings.paths.artifacts)
    histories, calibration = real_histories(split)
    settings = with_max_history(settings, run.description.settings["max-history"])
    manifest = replace(manifest_of_run(run, split, len(catalog), settings), figures_of=figures_of)
    popular = np.argsort(-run.popularity(), kind="stable")
    sealing = Sealing(manifest, catalog, popular, histories, settings)
    asked = settings.export.variants if variants is None else variants
    if manifest.variant != FP32:
        asked = (manifest.variant,)
    try:
        model = run.model()
        attempts = attempt_all(
            sealing,
            lambda: _own_graph(sealing, model),
            lambda first: check_parity(first, model, histories),
            calibration,
            asked,
            progress,
        )
    except VerdictIsNo:
        record_attempts(settings.paths.artifacts, [_without_parity(manifest, variant) for variant in asked])
        raise
    record_attempts(settings.paths.artifacts, attempts)
    return attempts


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
    catalog = Catalog([str(i) for i in range(items)], np.arange(items))
    rng = np.random.default_rng(settings.training.seed)
    histories = [rng.integers(items, size=settings.training.max_history).tolist() for _ in range(32)]
    rung, _, own = name.partition(":")
    manifest = replace(_manifest(rung, f"untrained-{items}", items, settings, None), variant=own or FP32)
    model = untrained(name, items, settings, settings.training.seed)
    sealing = Sealing(manifest, catalog, np.arange(items), histories, settings)
    progress(f"exporting {name}", 0, 1)
    graph = _own_graph(sealing, model)
    with sealing.opened(manifest.variant, graph) as predictor:
        check_parity(predictor, model, histories)
    if variant != FP32:
        try:
            graph = compress(variant, graph, histories, settings.training.max_history)
        except CannotBeMade as reason:
            raise UsageFault(f"{name} has no variant {variant}: {reason}. Leave it out.") from reason
    artifact = sealing.seal(manifest.variant if variant == FP32 else variant, graph)
    progress(f"exporting {name}", 1, 1)
    return artifact


def _own_graph(sealing: Sealing, model: Model) -> Outline:
    """The graph of the model as it was learned, optimised."""
    settings = sealing.settings
    graph = outline_of(model, settings.training.max_history, settings.export.opset)
    return optimise(graph, sealing.draft)


def attempt_all(
    sealing: Sealing,
    make_graph: Callable[[], Outline],
    check: Callable[[OnnxPredictor], float],
    calibration: list[list[int]],
    variants: Sequence[str],
    progress: Progress,
) -> list[Attempt]:
    """Seal the graph and what can be made of it. `check` holds it against what it should answer: it raises
    `VerdictIsNo`, or returns the largest difference."""
    own = sealing.manifest.variant
    task, steps = f"exporting {sealing.manifest.rung}", 1 + len(variants)
    progress(task, 0, steps)
    graph = make_graph()
    attempts = []
    with sealing.opened(own, graph) as first:
        difference = check(first)
        progress(task, 1, steps)
        for variant in sorted(variants, key=lambda variant: variant != own):
            if variant == own:
                attempts.append(_made(sealing, variant, graph, Closeness(1.0, difference)))
            else:
                attempts.append(_attempt(sealing, variant, graph, first, calibration))
            progress(task, 1 + len(attempts), steps)
    return attempts


def _attempt(
    sealing: Sealing, variant: str, fp32: Outline, first: OnnxPredictor, calibration: list[list[int]]
) -> Attempt:
    """Make one compressed variant, and seal it where it is close enough to fp32."""
    rung, run = sealing.manifest.rung, sealing.manifest.run
    try:
        graph = compress(variant, fp32, calibration, sealing.settings.training.max_history)
        with sealing.opened(variant, graph) as predictor:
            closeness = compare(predictor, first, sealing.histories)
    except CannotBeMade as reason:
        return Attempt(rung, variant, "impossible", str(reason), None, None, None, run)
    except Exception as error:
        if rung in RUNGS:
            raise
        why = f"this graph cannot be rewritten: {error}"  # one that was brought along may hold anything
        return Attempt(rung, variant, "failed", why, None, None, None, run)
    shortfall = closeness.shortfall(TOLERANCES[variant])
    if shortfall:
        return Attempt(rung, variant, "failed", shortfall, *closeness, None, run)
    return _made(sealing, variant, graph, closeness)


def _without_parity(manifest: Manifest, variant: str) -> Attempt:
    """Of a graph that is not what was learned no variant can be trusted."""
    why = f"the {manifest.variant} graph and the trained model disagree"
    return Attempt(manifest.rung, variant, "failed", why, None, None, None, manifest.run)


def _made(sealing: Sealing, variant: str, graph: Outline, closeness: Closeness) -> Attempt:
    place = sealing.seal(variant, graph).path.name
    return Attempt(sealing.manifest.rung, variant, "made", "", *closeness, place, sealing.manifest.run)


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
