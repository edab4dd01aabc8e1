"""A small sealed artifact: three items, a graph of a few bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from contracts.artifact import SCHEMA_VERSION, Artifact, Manifest, Probe, seal
from contracts.encoding import Catalog
from contracts.graph import graph_inputs, graph_outputs

THREE_ITEMS = Catalog(["a", "b", "c"], np.array([4, 0, 9]), ["Apple", "", "Cherry"])


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def seal_one(artifacts: Path) -> Callable[..., Artifact]:
    """Seal an artifact of a rung and a variant whose graph is `model`."""

    def seal_small(
        rung: str = "popularity",
        variant: str = "fp32",
        model: bytes = b"graph",
        catalog: Catalog = THREE_ITEMS,
        popular: Sequence[int] = (2, 0, 1),
    ) -> Artifact:
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            rung=rung,
            variant=variant,
            run="run-1",
            items=len(catalog),
            max_history=5,
            repeat_policy="mask",
            opset=20,
            inputs=graph_inputs(5),
            outputs=graph_outputs(),
            training=None,
        )
        return seal(
            artifacts,
            manifest,
            catalog,
            np.asarray(popular),
            write_model=lambda path: path.write_bytes(model) and None,
            make_probes=lambda path: [Probe([0], [2, 1], [0.5, float(len(path.read_bytes()))])],
        )

    return seal_small
