"""What the variants of one run share, and sealing one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from contracts import durable
from contracts.artifact import MODEL, Artifact, Manifest, Probe, seal
from contracts.encoding import Catalog
from contracts.sections import Settings
from export.graphs.outline import Outline, write_outline
from service.predictor import OnnxPredictor

PROBE_ITEMS = 10


@dataclass(frozen=True)
class Sealing:
    """What the variants of one run share. `manifest` is that of the graph they are made from."""

    manifest: Manifest
    catalog: Catalog
    popular: np.ndarray
    histories: list[list[int]]
    settings: Settings

    @property
    def draft(self) -> Path:
        """What graphs on trial lie beside: where the artifacts are, so that a kill leaves nothing elsewhere."""
        return self.settings.paths.artifacts / "trial"

    @contextmanager
    def opened(self, variant: str, graph: Outline, **of_head: object) -> Iterator[OnnxPredictor]:
        """The predictor that will serve the graph, before anything is sealed. `of_head` goes into the manifest."""
        with durable.draft_directory(self.draft) as folder:
            write_outline(graph, folder / MODEL)
            yield OnnxPredictor(Artifact(folder, replace(self.manifest, variant=variant, **of_head), "unsealed"))

    def seal(self, variant: str, graph: Outline, **of_head: object) -> Artifact:
        manifest = replace(self.manifest, variant=variant, **of_head)

        def write_model(path: Path) -> None:
            write_outline(graph, path)

        def ask(path: Path) -> list[Probe]:
            predictor = OnnxPredictor(Artifact(path.parent, manifest, "unsealed"))
            return _probes(predictor, self.histories[: self.settings.export.probes])

        place = self.settings.paths.artifacts
        return seal(place, manifest, self.catalog, self.popular, write_model, ask)


def _probes(predictor: OnnxPredictor, histories: list[list[int]]) -> list[Probe]:
    if not histories:
        return []
    items, scores = predictor.ask_probes(histories, PROBE_ITEMS)
    return [
        Probe(history, row[np.isfinite(kept)].tolist(), kept[np.isfinite(kept)].tolist())
        for history, row, kept in zip(histories, items, scores, strict=True)
    ]
