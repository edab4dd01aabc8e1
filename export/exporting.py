"""The export step: a trained run (or random weights) becomes a graph, is checked, and is sealed."""

from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import onnx
from msgspec.structs import replace

from contracts import item_numbers
from contracts.artifact import (
    SCHEMA_VERSION,
    Artifact,
    Manifest,
    Probe,
    Training,
    seal,
)
from contracts.encoding import Catalog, encode_excluded, encode_histories
from contracts.faults import UsageFault
from contracts.graph import graph_inputs, graph_outputs
from contracts.progress import Progress, silent
from contracts.revision import code_revision
from contracts.sections import Settings
from export.graphs import graph_of
from export.parity import check_parity
from models.ladder import Model, untrained
from models.questions import validation_questions
from models.split import Split, open_split
from models.training import Run
from service.predictor import OnnxPredictor

LIBRARIES = ("numpy", "torch", "onnx", "onnxscript", "onnxruntime", "polars", "scipy", "msgspec")
PARITY_HISTORIES = 256
PROBE_ITEMS = 10


def export_run(run: Run, settings: Settings, progress: Progress = silent) -> Artifact:
    """Seal the run's model as variant fp32. Raises `VerdictIsNo` when the graph and the model disagree."""
    split = _split_of(run)
    catalog = _catalog_of(split, settings.paths.artifacts)
    histories = _real_histories(split, PARITY_HISTORIES)
    settings = _as_trained(settings, run)
    manifest = _manifest(run.description.rung, run.folder.name, len(catalog), settings, _training(run, split))
    popular = np.argsort(-run.popularity(), kind="stable")
    return _seal(manifest, catalog, popular, run.model(), histories, settings, progress)


def _split_of(run: Run) -> Split:
    """The split the run learned from, for its catalog. Another one may have been made in its place since."""
    split = open_split(run.split_folder())
    expected, found = run.description.split_sha256, split.description.sha256
    if found != expected:
        raise UsageFault(
            f"{run.folder} was trained on split {expected[:12]}, but {split.folder} now holds {found[:12]}: its "
            "catalog is another one. Train again on what is there, or split the first log there again."
        )
    return split


def _as_trained(settings: Settings, run: Run) -> Settings:
    """The history length is the run's, whatever the settings say by now."""
    training = replace(settings.training, max_history=run.description.settings["max-history"])
    return replace(settings, training=training)


def export_untrained(rung: str, items: int, settings: Settings, progress: Progress = silent) -> Artifact:
    """Seal random weights over a made-up catalog `0 .. items - 1`: for load tests only.

    The item numbers are the indices themselves; the table of real numbers is left alone.
    """
    catalog = Catalog([str(i) for i in range(items)], np.arange(items))
    rng = np.random.default_rng(settings.training.seed)
    histories = [rng.integers(items, size=settings.training.max_history).tolist() for _ in range(32)]
    manifest = _manifest(rung, f"untrained-{items}", items, settings, None)
    model = untrained(rung, items, settings, settings.training.seed)
    return _seal(manifest, catalog, np.arange(items), model, histories, settings, progress)


def _seal(
    manifest: Manifest,
    catalog: Catalog,
    popular: np.ndarray,
    model: Model,
    histories: list[list[int]],
    settings: Settings,
    progress: Progress,
) -> Artifact:
    task = f"exporting {manifest.rung}:{manifest.variant}"
    progress(task, 0, 3)

    def write_model(path: Path) -> None:
        onnx.save_model(graph_of(model, settings.training.max_history, settings.export.opset), path)
        progress(task, 1, 3)

    def check_and_ask(path: Path) -> list[Probe]:
        predictor = OnnxPredictor(Artifact(path.parent, manifest, "unsealed"))
        check_parity(predictor, model, histories)
        progress(task, 2, 3)
        return _probes(predictor, histories[: settings.export.probes])

    artifact = seal(settings.paths.artifacts, manifest, catalog, popular, write_model, check_and_ask)
    progress(task, 3, 3)
    return artifact


def _probes(predictor: OnnxPredictor, histories: list[list[int]]) -> list[Probe]:
    encoded = encode_histories(histories, predictor.max_history)
    items, scores = predictor.predict(encoded, encode_excluded(histories), PROBE_ITEMS)
    return [
        Probe(history, row[np.isfinite(kept)].tolist(), kept[np.isfinite(kept)].tolist())
        for history, row, kept in zip(histories, items, scores, strict=True)
    ]


def _catalog_of(split: Split, artifacts: Path) -> Catalog:
    """The catalog with its item numbers; items that are new get one."""
    item_ids = split.item_ids[: split.catalog_size]
    table = item_numbers.append(artifacts, item_ids)
    return Catalog(item_ids, item_numbers.numbers_of(table, item_ids), split.titles)


def _real_histories(split: Split, count: int) -> list[list[int]]:
    """Item indices of users from the validation part, spread evenly over them."""
    histories = [h[h < split.catalog_size] for h in validation_questions(split).histories]
    known = [history.tolist() for history in histories if len(history)]
    return known[:: max(1, len(known) // count)][:count]


def _manifest(rung: str, run: str, items: int, settings: Settings, training: Training | None) -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        rung=rung,
        variant="fp32",
        run=run,
        items=items,
        max_history=settings.training.max_history,
        repeat_policy="mask",
        opset=settings.export.opset,
        inputs=graph_inputs(settings.training.max_history),
        outputs=graph_outputs(),
        training=training,
    )


def _training(run: Run, split: Split) -> Training:
    description = run.description
    return Training(
        log_sha256=description.log_sha256,
        split_sha256=description.split_sha256,
        protocol=description.protocol,
        parts=["train"],
        interactions=len(split.train),
        users=len(np.unique(split.train.users)),
        seed=description.seed,
        settings=msgspec.to_builtins(description.settings),
        code_revision=code_revision(),
        libraries={library: version(library) for library in LIBRARIES},
    )
