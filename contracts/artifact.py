"""The artifact: a sealed directory that training writes and serving reads.

    manifest.json   what it is, how it was made, and the sha256 of every other file
    model.onnx      the graph: encoded history -> top-k
    model.data      its large tables, where there are any; mapped, and shared by all that serve it
    query.onnx      of a graph that an index precedes: encoded history -> query, see `contracts.graph`
    the index       files of ScaNN, which finds the candidates of a query, and
    index-items.npy     uint32: at each place of the index, leaf after leaf, the item that lies there; the size of
                        the catalog instead of an item that is a candidate of every question
    index-always.npy    uint32: the items that are, ascending
    popular.npy     int32: every item index, most popular first: the fallback
    probes.json     stored histories with the answer each must give
    measured-*.json figures of one machine; not sealed, names the manifest it belongs to

and the catalog, in index order, in files that can be mapped (see `contracts.catalog_files`):

    item-ids.txt        the item ids, UTF-8, one a line
    item-id-ends.npy    uint32 (uint64 from 4 GB): 0, then the byte behind each of these lines (an id may hold a
                        line break)
    item-id-table.npy   uint32: the hash table from item id to item index, see `contracts.id_table`
    item-numbers.npy    uint32: the number of each item, see `contracts.item_numbers`
    number-indices.npy  int32: at place n the index of the item with number n, -1 where none has it and at the end
    titles.txt, title-ends.npy   the same for titles, where there are any; an item without one has an empty line

`version` is the first 12 hex digits of the manifest's sha256. Directories are named
`RUNG-VARIANT-VERSION` under `artifacts/`, so sealing the same content twice gives the same place.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from contracts import durable
from contracts.catalog_files import CATALOG_FILES, READ_UP_TO, TITLE_ENDS, TITLES, open_catalog, write_catalog
from contracts.encoding import Catalog, RepeatPolicy
from contracts.faults import ArtifactFault
from contracts.mapped_files import REMEDY, map_array

SCHEMA_VERSION = 2
MODEL_DATA, QUERY_MODEL = "model.data", "query.onnx"
LEAVES_OF_INDEX, ROWS_OF_INDEX = "datapoint_to_token.npy", "hashed_dataset.npy"
"""What has an entry for each place of the index: int32 `[items]`, the leaf; uint8 `[items, bytes]`, the codes."""
INDEX_FILES = (
    "scann_config.pb",
    "scann_assets.pbtxt",
    "serialized_partitioner.pb",
    LEAVES_OF_INDEX,
    "ah_codebook.pb",
    ROWS_OF_INDEX,
)
"""What ScaNN reads, as it names them; paths in them are relative."""
INDEX_ITEMS, INDEX_ALWAYS = "index-items.npy", "index-always.npy"
SEARCHED = (*INDEX_FILES, INDEX_ITEMS, INDEX_ALWAYS)
"""What only an artifact with an index has, beside `QUERY_MODEL`."""

MANIFEST, MODEL, POPULAR, PROBES = "manifest.json", "model.onnx", "popular.npy", "probes.json"
_ALWAYS_SEALED = {MODEL, POPULAR, PROBES, *CATALOG_FILES}


class Tensor(msgspec.Struct, forbid_unknown_fields=True):
    """An input or output of the graph. A name in `shape` is a dimension that varies."""

    name: str
    dtype: str
    shape: list[int | str]


class SealedFile(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    size_bytes: int


class Training(msgspec.Struct, forbid_unknown_fields=True):
    """What it takes to make the model again, and what was chosen on the way.

    `chosen` are the choices made on the validation part, `policies` the NDCG@10 there under each repeat policy.
    """

    log_sha256: str
    split_sha256: str
    protocol: str
    parts: list[str]
    interactions: int
    users: int
    seed: int
    settings: dict[str, object]
    chosen: dict[str, float]
    policies: dict[RepeatPolicy, float]
    code_revision: str
    libraries: dict[str, str]


class Search(msgspec.Struct, forbid_unknown_fields=True):
    """How much of an index a question looks at: the items of so many `leaves`, the best `candidates` of which the
    graph scores again. `dimension` numbers make up a query."""

    leaves: int
    candidates: int
    dimension: int


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    rung: str
    variant: str
    run: str
    items: int
    max_history: int
    repeat_policy: RepeatPolicy
    opset: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    training: Training | None
    """None for `export --untrained`: random weights, for load tests only."""
    figures_of: str = ""
    """A refit carries the figures of the artifact with this version: that one was measured. Else empty."""
    files: dict[str, SealedFile] = {}
    room: int | None = None
    """Of a graph that looks at a part of the catalog: answers and exclusions of a question up to so many together
    change nothing about which part. None where it looks at all."""
    search: Search | None = None
    """None where the graph needs no index."""


class Probe(msgspec.Struct, forbid_unknown_fields=True):
    """A history (item indices, newest last) and the answer to it under the policy `mask`."""

    history: list[int]
    items: list[int]
    scores: list[float]


@dataclass(frozen=True)
class Artifact:
    """A sealed directory that was opened. `is_verified`: and its files are those that were sealed."""

    path: Path
    manifest: Manifest
    version: str
    is_verified: bool = False

    @property
    def name(self) -> str:
        return f"{self.manifest.rung}:{self.manifest.variant}"

    @property
    def model_path(self) -> Path:
        return self.path / MODEL

    @property
    def query_path(self) -> Path:
        return self.path / QUERY_MODEL

    @property
    def size_bytes(self) -> int:
        """What has to be shipped: every sealed file and the manifest."""
        sealed = sum(file.size_bytes for file in self.manifest.files.values())
        return sealed + (self.path / MANIFEST).stat().st_size

    @cached_property
    def catalog(self) -> Catalog:
        has_titles = TITLES in self.manifest.files
        return open_catalog(self.path, self.manifest.items, has_titles=has_titles)

    @cached_property
    def popular(self) -> np.ndarray:
        """int32 `[items]`: every item index, most popular first."""
        popular = map_array(self.path / POPULAR, "i4", self.manifest.items)
        return popular if len(popular) > READ_UP_TO else popular.copy()

    @cached_property
    def probes(self) -> list[Probe]:
        return msgspec.json.decode((self.path / PROBES).read_bytes(), type=list[Probe])


def seal(
    artifacts: Path,
    manifest: Manifest,
    catalog: Catalog,
    popular: np.ndarray,
    write_model: Callable[[Path], None],
    make_probes: Callable[[Path], list[Probe]],
) -> Artifact:
    """Write one artifact, whole or not at all, and return it.

    `write_model(path)` writes the graph to `path`; `make_probes(path)` then asks that graph. An equal
    artifact that is sealed already stays as it is and becomes the newest of its name; a damaged one is
    replaced.
    """
    stem = f"{manifest.rung}-{manifest.variant}"
    with durable.draft_directory(artifacts / stem) as folder:
        write_model(folder / MODEL)
        write_catalog(folder, catalog)
        np.save(folder / POPULAR, popular.astype(np.int32), allow_pickle=False)
        (folder / PROBES).write_bytes(msgspec.json.encode(make_probes(folder / MODEL)))
        sealed = {path.name: _seal_of(path) for path in sorted(folder.iterdir())}
        content = msgspec.json.encode(msgspec.structs.replace(manifest, files=sealed))
        (folder / MANIFEST).write_bytes(msgspec.json.format(content, indent=2))
        place = artifacts / f"{stem}-{open_artifact(folder, verify=False).version}"
        if not _is_whole(place):
            durable.publish_directory(folder, place)
        durable.make_newest(place / MANIFEST, _manifests(artifacts))
    return open_artifact(place, verify=False)  # what was sealed just now, or read just now


def open_artifact(path: Path, *, verify: bool = True) -> Artifact:
    """Open a sealed directory; refuse one that is missing, of another version, or damaged.

    `verify=False` skips the checksums, for a caller that only wants to list what is there.
    """
    try:
        content = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise ArtifactFault(
            f"{path} is no artifact: found no readable {MANIFEST} ({error.strerror}), expected a sealed "
            "directory. Run `flyweight export`, or name one that `ls artifacts/` shows."
        ) from error
    manifest = _decode_manifest(path, content)
    _refuse_unsealed(path, manifest)
    if verify:
        for name, expected in manifest.files.items():
            verify_file(path / name, expected)
    return Artifact(path, manifest, hashlib.sha256(content).hexdigest()[:12], verify)


def sealed_artifacts(artifacts: Path) -> list[Artifact]:
    """Every artifact under `artifacts/`, oldest first. Checksums are not verified.

    One that cannot be opened (damaged, or of another schema version) is passed over: it competes no more.
    """
    opened = []
    for path in sorted(_manifests(artifacts), key=lambda path: (path.stat().st_mtime_ns, path)):
        with contextlib.suppress(ArtifactFault):
            opened.append(open_artifact(path.parent, verify=False))
    return opened


def _manifests(artifacts: Path) -> Iterator[Path]:
    return artifacts.glob(f"[!.]*/{MANIFEST}")


def _is_whole(path: Path) -> bool:
    try:
        open_artifact(path)
    except ArtifactFault:
        return False
    return True


def _decode_manifest(path: Path, content: bytes) -> Manifest:
    try:
        schema = msgspec.json.decode(content).get("schema_version")
        if schema == SCHEMA_VERSION:
            return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError) as error:
        raise ArtifactFault(
            f"{path / MANIFEST} is damaged: {error}. Expected a manifest of schema version "
            f"{SCHEMA_VERSION}. Export the run again with `flyweight export`."
        ) from error
    raise ArtifactFault(
        f"{path} has schema version {schema}, this code reads {SCHEMA_VERSION}. "
        "Export the run again with `flyweight export`, or serve it with the code that sealed it."
    )


def _refuse_unsealed(path: Path, manifest: Manifest) -> None:
    """Whatever serves must be sealed, and nothing that is sealed may lie elsewhere."""
    of_search = {QUERY_MODEL, *SEARCHED} if manifest.search else set()
    missing = sorted((_ALWAYS_SEALED | of_search) - manifest.files.keys())
    if (TITLES in manifest.files) != (TITLE_ENDS in manifest.files):
        missing += sorted({TITLES, TITLE_ENDS} - manifest.files.keys())
    outside = sorted(name for name in manifest.files if Path(name).name != name)
    if missing or outside:
        found = f"does not seal {', '.join(missing)}" if missing else f"seals {outside[0]!r}, which lies elsewhere"
        raise ArtifactFault(f"{path / MANIFEST} {found}. Export the run again with `flyweight export`.")


def _seal_of(path: Path) -> SealedFile:
    with path.open("rb") as handle:
        return SealedFile(hashlib.file_digest(handle, "sha256").hexdigest(), path.stat().st_size)


def verify_file(path: Path, expected: SealedFile) -> None:
    """Raises `ArtifactFault` unless the file is the one that was sealed."""
    if not path.is_file():
        raise ArtifactFault(f"{path} is missing, but the manifest seals it. {REMEDY}")
    size = path.stat().st_size
    if size != expected.size_bytes:
        raise ArtifactFault(f"{path} has {size} bytes, the manifest says {expected.size_bytes}. {REMEDY}")
    found = _seal_of(path).sha256
    if found != expected.sha256:
        raise ArtifactFault(f"{path} has sha256 {found}, the manifest says {expected.sha256}. {REMEDY}")
