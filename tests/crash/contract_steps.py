"""The steps that write for everyone: item numbers, sealed artifacts, the pointer."""

from pathlib import Path

import numpy as np
from step import Step, View, digest

from contracts import artifact, item_numbers, pointer
from contracts.artifact import Artifact, Manifest, Probe
from contracts.encoding import Catalog
from contracts.graph import graph_inputs, graph_outputs


def number_items(artifacts: Path, *, items: int) -> None:
    item_numbers.append(artifacts, [f"item {i}" for i in range(items)])


def view_item_numbers(artifacts: Path) -> View:
    return {"item numbers": digest(item_numbers.load(artifacts))}


def seal_artifact(artifacts: Path, *, run: str, items: int = 50) -> Artifact:
    """An artifact whose files are whole, though no engine could run its graph."""
    manifest = Manifest(
        artifact.SCHEMA_VERSION, "popularity", "fp32", run, items, 10, "mask", 20,
        graph_inputs(10), graph_outputs(), training=None,
    )  # fmt: skip
    return artifact.seal(
        artifacts,
        manifest,
        Catalog([f"item {i}" for i in range(items)], np.arange(items)),
        popular=np.arange(items),
        write_model=lambda path: path.write_bytes(run.encode() * 2000) and None,
        make_probes=lambda path: [Probe([1, 2], [3], [0.5])],
    )


def promote_the_first(artifacts: Path) -> None:
    pointer.move_pointer(artifacts, seal_artifact(artifacts, run="one").path)


def promote_the_first_of_two(artifacts: Path) -> None:
    promote_the_first(artifacts)
    seal_artifact(artifacts, run="two")


def promote_the_newest(artifacts: Path) -> None:
    pointer.move_pointer(artifacts, artifact.sealed_artifacts(artifacts)[-1].path)


def view_artifacts(artifacts: Path) -> View:
    """Every artifact that a reader can reach, verified and read; the newest of each name; the pointer."""
    view: View = {}
    for found in artifact.sealed_artifacts(artifacts):
        opened = artifact.open_artifact(found.path)
        view[f"sealed {opened.version}"] = digest(opened.catalog.item_ids, opened.popular, opened.probes)
        view[f"newest {opened.name}"] = pointer.find_artifact(artifacts, opened.name).version
    if pointer.read_pointer(artifacts):
        view["promoted"] = pointer.find_artifact(artifacts, "promoted").version
    return view


CONTRACT_STEPS = {
    "append item numbers": Step(
        build=lambda folder: number_items(folder, items=500),
        act=lambda folder: number_items(folder, items=900),
        view=view_item_numbers,
    ),
    "seal": Step(
        build=promote_the_first,
        act=lambda folder: seal_artifact(folder, run="two"),
        view=view_artifacts,
    ),
    "move pointer": Step(build=promote_the_first_of_two, act=promote_the_newest, view=view_artifacts),
}
