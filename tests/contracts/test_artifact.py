"""Sealing and opening: whole, checked, and the same every time."""

import hashlib
import os

import msgspec
import numpy as np
import pytest

from contracts.artifact import MANIFEST, MODEL, POPULAR, PROBES, open_artifact, sealed_artifacts
from contracts.catalog_files import CATALOG_FILES, READ_UP_TO, TITLE_ENDS, TITLES
from contracts.encoding import Catalog
from contracts.faults import ArtifactFault
from contracts.mapped_files import MappedTexts


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite_manifest(path, **changes) -> None:
    manifest = msgspec.json.decode((path / MANIFEST).read_bytes())
    (path / MANIFEST).write_bytes(msgspec.json.encode(manifest | changes))


def refusal_of(path) -> str:
    with pytest.raises(ArtifactFault) as refused:
        open_artifact(path)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_sealed_artifact_opens_with_what_was_put_in(seal_one):
    artifact = open_artifact(seal_one().path)
    assert (artifact.name, artifact.manifest.items) == ("popularity:fp32", 3)
    assert artifact.catalog.item_ids == ["a", "b", "c"]
    assert artifact.catalog.item_numbers.tolist() == [4, 0, 9]
    assert artifact.catalog.title(0) == "Apple"
    assert artifact.popular.tolist() == [2, 0, 1]
    assert artifact.probes[0].scores == [0.5, len(b"graph")]  # the probes asked the graph that was written
    assert artifact.model_path.read_bytes() == b"graph"


def test_version_is_twelve_digits_of_the_manifests_sha256_and_names_the_directory(seal_one, artifacts):
    artifact = seal_one()
    digest = hashlib.sha256((artifact.path / MANIFEST).read_bytes()).hexdigest()
    assert artifact.version == digest[:12]
    assert artifact.path == artifacts / f"popularity-fp32-{artifact.version}"


def test_size_counts_every_sealed_file_and_the_manifest(seal_one):
    artifact = seal_one()
    assert artifact.size_bytes == sum(map(len, contents(artifact.path).values()))


def test_sealing_twice_gives_the_same_place_byte_for_byte_and_becomes_the_newest(seal_one, artifacts):
    first = seal_one()
    before = contents(first.path)
    os.utime(first.path / MANIFEST, (1, 1))
    seal_one("item-to-item")
    assert [a.name for a in sealed_artifacts(artifacts)] == ["popularity:fp32", "item-to-item:fp32"]
    again = seal_one()
    assert (again.path, contents(again.path)) == (first.path, before)
    assert [a.name for a in sealed_artifacts(artifacts)] == ["item-to-item:fp32", "popularity:fp32"]


def test_measured_figures_are_not_sealed_and_survive_sealing_again(seal_one):
    artifact = seal_one()
    (artifact.path / "measured-0123abcd.json").write_text("{}")
    assert seal_one().version == artifact.version
    assert (artifact.path / "measured-0123abcd.json").exists()


def test_sealing_again_replaces_a_damaged_artifact(seal_one):
    artifact = seal_one()
    (artifact.path / MODEL).write_bytes(b"gravy")
    assert seal_one().path == artifact.path
    assert (artifact.path / MODEL).read_bytes() == b"graph"


def test_error_while_sealing_leaves_nothing(seal_one, artifacts):
    with pytest.raises(TypeError):
        seal_one(model="text instead of bytes")
    assert list(artifacts.iterdir()) == []
    assert sealed_artifacts(artifacts) == []


@pytest.mark.parametrize("name", [MODEL, POPULAR, PROBES, *CATALOG_FILES, TITLES, TITLE_ENDS])
def test_missing_file_is_refused_by_name_with_the_remedy(seal_one, name):
    path = seal_one().path
    (path / name).unlink()
    message = refusal_of(path)
    assert f"{name} is missing" in message
    assert "flyweight export" in message


def test_wrong_size_is_refused_with_both_sizes(seal_one):
    path = seal_one().path
    (path / MODEL).write_bytes(b"graph and more")
    assert f"{MODEL} has 14 bytes, the manifest says 5." in refusal_of(path)


@pytest.mark.parametrize("name", [MODEL, POPULAR, PROBES, *CATALOG_FILES, TITLES, TITLE_ENDS])
def test_one_changed_byte_is_refused_with_both_checksums(seal_one, name):
    path = seal_one().path
    content = bytearray((path / name).read_bytes())
    before = hashlib.sha256(content).hexdigest()
    content[-1] ^= 1
    (path / name).write_bytes(content)
    after = hashlib.sha256(content).hexdigest()
    assert f"has sha256 {after}, the manifest says {before}." in refusal_of(path)


def test_other_schema_version_is_refused_with_both_versions(seal_one):
    path = seal_one().path
    rewrite_manifest(path, schema_version=1)
    message = refusal_of(path)
    assert "schema version 1, this code reads 2" in message
    assert "Export the run again" in message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 2}', b'{"run": "\xff"}'])
def test_damaged_manifest_is_refused(seal_one, content):
    path = seal_one().path
    (path / MANIFEST).write_bytes(content)
    assert "damaged" in refusal_of(path)


def test_manifest_with_an_unknown_field_is_refused(seal_one):
    path = seal_one().path
    rewrite_manifest(path, extra=1)
    assert "unknown field `extra`" in refusal_of(path)


def test_directory_without_a_manifest_is_no_artifact(tmp_path):
    message = refusal_of(tmp_path / "nowhere")
    assert "is no artifact" in message
    assert "flyweight export" in message


def test_listing_does_not_verify_so_that_a_damaged_file_can_be_named(seal_one, artifacts):
    path = seal_one().path
    (path / MODEL).write_bytes(b"gravy")
    assert [artifact.path for artifact in sealed_artifacts(artifacts)] == [path]


@pytest.mark.parametrize("name", [MODEL, POPULAR, PROBES, *CATALOG_FILES, TITLES, TITLE_ENDS])
def test_artifact_whose_manifest_leaves_a_file_unsealed_is_refused(seal_one, name):
    path = seal_one().path
    files = msgspec.json.decode((path / MANIFEST).read_bytes())["files"]
    rewrite_manifest(path, files={key: value for key, value in files.items() if key != name})
    assert f"does not seal {name}" in refusal_of(path)


def test_manifest_that_reaches_outside_its_directory_is_refused(seal_one):
    path = seal_one().path
    files = msgspec.json.decode((path / MANIFEST).read_bytes())["files"]
    rewrite_manifest(path, files=files | {"../../x": files[MODEL]})
    assert "seals '../../x', which lies elsewhere" in refusal_of(path)


def test_large_catalog_is_mapped_and_a_small_one_read(seal_one, artifacts):
    assert isinstance(open_artifact(seal_one().path).catalog.item_ids, list)
    items = READ_UP_TO + 1
    ids = [f"i{index}" for index in range(items)]
    large = seal_one(catalog=Catalog(ids, np.arange(items)), popular=np.arange(items)[::-1])
    catalog = open_artifact(large.path).catalog
    assert isinstance(catalog.item_ids, MappedTexts)
    assert catalog.ids_of([0, items - 1]) == ["i0", f"i{items - 1}"]
    assert catalog.places_of_ids(ids[:: items // 50]).tolist() == list(range(0, items, items // 50))
    assert not large.popular.flags.writeable
    assert large.popular[:2].tolist() == [items - 1, items - 2]


def test_popular_list_of_another_length_is_refused(seal_one):
    artifact = seal_one()
    np.save(artifact.path / POPULAR, np.arange(2, dtype=np.int32))
    with pytest.raises(ArtifactFault, match=r"holds int32 \[2\], expected int32 \[3\]"):
        artifact.popular  # noqa: B018


def test_titles_without_their_ends_are_refused(seal_one):
    path = seal_one().path
    files = msgspec.json.decode((path / MANIFEST).read_bytes())["files"]
    rewrite_manifest(path, files={key: value for key, value in files.items() if key != TITLES})
    assert f"does not seal {TITLES}" in refusal_of(path)
