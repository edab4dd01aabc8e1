"""What differs between two artifacts, on graphs whose answers are known."""

import msgspec
import numpy as np
import onnx
import pytest

from contracts.artifact import SCHEMA_VERSION, Artifact, Manifest, Probe, Training, seal
from contracts.encoding import Catalog
from contracts.graph import graph_inputs, graph_outputs
from export.difference import differ
from export.graphs.graph import graph_of
from models.rungs.popularity import Popularity

MAX_HISTORY = 5
TRAINING = Training(
    log_sha256="a" * 64, split_sha256="b" * 64, protocol="time-split", parts=["train"], interactions=100, users=10,
    seed=1, settings={"max-history": MAX_HISTORY, "popularity": {"half-lives-days": [1.0]}},
    chosen={"half-life-days": 1.0}, policies={"mask": 0.1}, code_revision="c0de",
    libraries={"numpy": "2.4.6"},
)  # fmt: skip
ITEMS = [f"i{n:02}" for n in range(30)]


@pytest.fixture
def make(tmp_path):
    """`make(scores)`: an artifact that answers its items by falling score; keywords change its training."""

    def sealed(scores, items=ITEMS, *, probes=((0,), (1, 2)), policy="mask", **training) -> Artifact:
        scores = np.asarray(scores, dtype=np.float32)
        manifest = Manifest(
            SCHEMA_VERSION, "popularity", "fp32", "run", len(items), MAX_HISTORY, policy, 20,
            graph_inputs(MAX_HISTORY), graph_outputs(), msgspec.structs.replace(TRAINING, **training),
        )  # fmt: skip
        catalog = Catalog(items, np.arange(len(items)), [f"title of {item}" for item in items])
        graph = graph_of(Popularity(scores), MAX_HISTORY, 20)
        stored = [Probe(list(history), [], []) for history in probes]
        return seal(
            tmp_path / "artifacts", manifest, catalog, np.argsort(-scores),
            lambda path: onnx.save_model(graph, path), lambda _: stored,
        )  # fmt: skip

    return sealed


FALLING = np.arange(30, 0, -1) / 30


def test_equal_artifacts_differ_in_nothing(make):
    difference = differ(make(FALLING), make(FALLING))
    assert difference.same_bytes
    assert difference.changes == []
    assert all(file.same for file in difference.files)
    assert (difference.catalog.added, difference.catalog.removed) == (0, 0)
    answers = difference.answers
    assert (answers.histories, answers.overlap_mean, answers.overlap_worst) == (2, 1.0, 1.0)
    assert (answers.same_first, answers.same_list) == (1.0, 1.0)


def test_each_key_that_changed_is_named_in_its_group_with_both_values(make):
    other = {
        "seed": 2, "log_sha256": "d" * 64, "code_revision": "beef", "libraries": {"numpy": "2.5.0"},
        "settings": {"max-history": MAX_HISTORY, "popularity": {"half-lives-days": [7.0]}, "new": {"key": 3}},
    }  # fmt: skip
    difference = differ(make(FALLING), make(FALLING, policy="keep", **other))
    assert not difference.same_bytes
    told = {(change.group, change.what): (change.a, change.b) for change in difference.changes}
    assert told == {
        ("data", "log_sha256"): ("a" * 64, "d" * 64),
        ("seed", "seed"): (1, 2),
        ("configuration", "repeat_policy"): ("mask", "keep"),
        ("configuration", "settings.popularity.half-lives-days"): ([1.0], [7.0]),
        ("configuration", "settings.new.key"): (None, 3),
        ("code", "code_revision"): ("c0de", "beef"),
        ("libraries", "libraries.numpy"): ("2.4.6", "2.5.0"),
    }
    assert all(file.same for file in difference.files)


def test_answers_that_share_half_of_their_items_overlap_by_half(make):
    moved = FALLING.copy()
    moved[20:25] = np.arange(10, 5, -1)  # five items jump to the top
    difference = differ(make(FALLING), make(moved))
    assert difference.answers.overlap_mean == pytest.approx(0.5)
    assert difference.answers.same_first == 0
    assert [file.name for file in difference.files if not file.same] == ["model.onnx", "popular.npy"]


def test_the_worst_history_is_told_beside_the_mean(make):
    """Under `mask` A leaves out what was seen, under `keep` B does not: one seen item is one of ten."""
    difference = differ(
        make(FALLING, probes=((0,), (29,))),
        make(FALLING, probes=((29,),), policy="keep"),
    )
    assert difference.answers.histories == 2
    assert difference.answers.overlap_worst == pytest.approx(0.9)
    assert difference.answers.overlap_mean == pytest.approx((0.9 + 1.0) / 2)
    assert difference.answers.same_first == 0.5


def test_catalogs_are_held_against_each_other_by_item_id(make):
    turned = differ(make(FALLING), make(FALLING[::-1], ITEMS[::-1]))
    assert turned.catalog.same_order is False
    assert turned.answers.overlap_mean == 1.0
    assert turned.answers.same_list == 1.0
    grown = differ(make(FALLING), make([9, *FALLING[1:]], ["new", *ITEMS[1:]]))
    assert (grown.catalog.added, grown.catalog.removed) == (1, 1)
    assert (grown.catalog.some_added, grown.catalog.some_removed) == (["new"], ["i00"])
    assert grown.catalog.same_order
    assert grown.answers.same_first == 0


def test_a_history_unknown_to_one_side_gets_its_popular_list(make):
    a = make(FALLING, probes=((0,),))
    b = make(FALLING, [f"other{n}" for n in range(30)], probes=((0,),))
    difference = differ(a, b)
    assert difference.answers.histories == 2
    assert difference.answers.overlap_mean == 0


def test_without_probes_no_answers_are_compared(make):
    assert differ(make(FALLING, probes=()), make(FALLING[::-1], probes=())).answers is None
