"""What differs between two artifacts: what they were made from, their files, and their answers to the probes."""

from collections.abc import Sequence

import msgspec
import numpy as np

from contracts.artifact import Artifact
from contracts.encoding import PADDING, Catalog
from service.popular import PopularList
from service.predictor import OnnxPredictor
from service.ranking import Query, rank

DEPTH = 10
NAMED_ITEMS = 20
"""Item ids named of those added and of those removed; the counts are whole."""
_GROUPS = {
    "data": ("training.log_sha256", "training.split_sha256", "training.protocol", "training.parts",
             "training.interactions", "training.users"),
    "seed": ("training.seed",),
    "configuration": ("training.settings", "training.chosen", "max_history", "repeat_policy", "opset"),
    "code": ("training.code_revision", "schema_version"),
    "libraries": ("training.libraries",),
    "model": (),
}  # fmt: skip
"""Where each key of the manifest belongs; what stands nowhere else is of the model."""


class Side(msgspec.Struct, frozen=True):
    name: str
    version: str
    path: str
    size_bytes: int


class Change(msgspec.Struct, frozen=True):
    """One key of the manifest; None where a side has no such key."""

    group: str
    what: str
    a: object
    b: object


class FileChange(msgspec.Struct, frozen=True):
    """One sealed file; sizes in bytes, None where a side has no such file."""

    name: str
    same: bool
    a_bytes: int | None
    b_bytes: int | None


class CatalogChange(msgspec.Struct, frozen=True):
    """From A to B. `same_order` is of the items that both hold."""

    a_items: int
    b_items: int
    added: int
    removed: int
    same_order: bool
    titles_changed: int
    some_added: list[str]
    some_removed: list[str]


class AnswerChange(msgspec.Struct, frozen=True):
    """Of the answers to `histories` different histories, each side under its own repeat policy.

    `overlap_mean` and `overlap_worst`: the share of the top 10 that both name. `same_first` and `same_list`:
    the share of histories with the same first item, with the same ten in the same order.
    """

    histories: int
    overlap_mean: float
    overlap_worst: float
    same_first: float
    same_list: float


class Difference(msgspec.Struct, frozen=True):
    a: Side
    b: Side
    same_bytes: bool
    changes: list[Change]
    files: list[FileChange]
    catalog: CatalogChange
    answers: AnswerChange | None
    """None where neither has a probe to ask."""


def differ(a: Artifact, b: Artifact) -> Difference:
    """Hold `b` against `a`. Raises `ArtifactFault` on a graph that cannot be asked."""
    return Difference(
        _side(a),
        _side(b),
        a.version == b.version,  # a version is the sha256 of the manifest, which seals every file
        _manifest_changes(a, b),
        _file_changes(a, b),
        _catalog_change(a.catalog, b.catalog),
        _answer_change(a, b),
    )


def _side(artifact: Artifact) -> Side:
    return Side(artifact.name, artifact.version, str(artifact.path), artifact.size_bytes)


def _manifest_changes(a: Artifact, b: Artifact) -> list[Change]:
    left, right = (_flat(msgspec.to_builtins(artifact.manifest)) for artifact in (a, b))
    keys = [key for key in {**left, **right} if not key.startswith("files.")]
    changes = [
        Change(_group_of(key), key.removeprefix("training."), left.get(key), right.get(key))
        for key in keys
        if left.get(key) != right.get(key)
    ]
    groups = list(_GROUPS)
    return sorted(changes, key=lambda change: (groups.index(change.group), change.what))


def _flat(value: dict, prefix: str = "") -> dict[str, object]:
    """Nested keys as one: `{"a": {"b": 1}}` is `{"a.b": 1}`. Lists stay whole."""
    found: dict[str, object] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            found |= _flat(inner, f"{prefix}{key}.")
        else:
            found[prefix + key] = inner
    return found


def _group_of(key: str) -> str:
    def holds(prefix: str) -> bool:
        return key == prefix or key.startswith(f"{prefix}.")

    return next((group for group, prefixes in _GROUPS.items() if any(map(holds, prefixes))), "model")


def _file_changes(a: Artifact, b: Artifact) -> list[FileChange]:
    left, right = a.manifest.files, b.manifest.files
    changes = []
    for name in sorted({*left, *right}):
        ours, theirs = left.get(name), right.get(name)
        same = bool(ours and theirs and ours.sha256 == theirs.sha256)
        changes.append(
            FileChange(name, same, ours.size_bytes if ours else None, theirs.size_bytes if theirs else None)
        )
    return changes


def _catalog_change(a: Catalog, b: Catalog) -> CatalogChange:
    in_b, in_a = b.places_of_ids(a.item_ids), a.places_of_ids(b.item_ids)
    both = np.flatnonzero(in_b != PADDING)
    removed, added = np.flatnonzero(in_b == PADDING), np.flatnonzero(in_a == PADDING)
    retitled = sum(a.title(i) != b.title(j) for i, j in zip(both.tolist(), in_b[both].tolist(), strict=True))
    return CatalogChange(
        len(a), len(b), len(added), len(removed), bool((np.diff(in_b[both]) > 0).all()), retitled,
        b.ids_of(added[:NAMED_ITEMS].tolist()), a.ids_of(removed[:NAMED_ITEMS].tolist()),
    )  # fmt: skip


def _answer_change(a: Artifact, b: Artifact) -> AnswerChange | None:
    """Both are asked the probes' histories of both, as item ids, so that catalogs may differ."""
    asked = [tuple(x.catalog.item_ids[item] for item in probe.history) for x in (a, b) for probe in x.probes]
    histories = list(dict.fromkeys(asked))
    if not histories:
        return None
    ours, theirs = _answers(a, histories), _answers(b, histories)
    pairs = list(zip(ours, theirs, strict=True))
    overlaps = [len({*x} & {*y}) / max(len(x), len(y), 1) for x, y in pairs]
    return AnswerChange(
        len(histories),
        overlap_mean=float(np.mean(overlaps)),
        overlap_worst=float(min(overlaps)),
        same_first=float(np.mean([x[:1] == y[:1] for x, y in pairs])),
        same_list=float(np.mean([x == y for x, y in pairs])),
    )


def _answers(artifact: Artifact, histories: Sequence[Sequence[str]]) -> list[list[str]]:
    """Item ids, best first. As in the service, a history of which the catalog holds nothing gets the popular
    list."""
    catalog, policy = artifact.catalog, artifact.manifest.repeat_policy
    predictor, popular = OnnxPredictor(artifact), PopularList(artifact.popular)
    answers = []
    for history in histories:  # one by one: a batch would have to be cut in two, and the probes are few
        known = catalog.indices_of_ids(history)
        ranking = rank(predictor if known else popular, [Query(known, DEPTH, policy=policy)])[0]
        answers.append([catalog.item_ids[item] for item in ranking.items])
    return answers
