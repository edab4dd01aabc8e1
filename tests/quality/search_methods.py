"""Ways to find the best ten by inner product, each behind the same three lines. See searching.py.

Libraries that are not installed are left out with a line (`pip install 'flyweight[search]'`). One thread each, for
building too. Vectors float32 [items, d + 1], queries float32 [n, d + 1].
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime as ort

from export.graphs.outline import Outline, write_outline
from export.graphs.scoring import Scoring
from export.graphs.sessions import session_options
from export.heads.blocks import make_blocks
from export.heads.int4 import int4_search
from export.heads.int8 import int8_search
from export.heads.ivf import ivf_search
from export.heads.ivf_tables import Probing
from export.heads.probing import width_for
from export.heads.scann_index import leaves_of

TOP, OPSET = 10, 20
_SCANN_AGAIN = (40, 100, 300)
_PQ_AGAIN = (4, 10, 30)
"""Candidates that are scored again exactly: so many; so many times ten."""
_POINTS = 64
"""Vectors per list that k-means learns from: what ScaNN has with 250,000 for the lists of a million."""
_MOST_ITEMS = 1 << 17
"""That a question to our blocks looks at: a batch of more takes gigabytes, which its session keeps."""


@dataclass(frozen=True)
class World:
    """What is searched: `vectors` are the rows of `scoring` with their bias behind, `shaping` are queries that may
    shape an index (from the training part), `folder` is for files of indexes."""

    scoring: Scoring
    vectors: np.ndarray
    shaping: np.ndarray
    folder: Path


@dataclass(frozen=True)
class Index:
    """`find(queries, family, effort)` gives items [n, 10]; `families` names the efforts of each, ascending."""

    size_bytes: int
    families: dict[str, Sequence[int]]
    find: Callable[[np.ndarray, str, int], np.ndarray]


def efforts(least: int, most: int, ratio: float = 1.15) -> list[int]:
    """Whole numbers, each at most about `ratio` times the one before."""
    steps = int(np.log(most / least) / np.log(ratio)) + 1 if most > least else 0
    return sorted({round(least * ratio**step) for step in range(steps)} | {most})


def ours_ivf(world: World) -> Index:
    width = width_for(world.scoring.items)
    blocks = make_blocks(world.vectors, world.shaping, width, 1, np.empty(0, dtype=np.int64))
    sessions: dict[tuple[str, int], ort.InferenceSession] = {}

    def graph(family: str, probed: int) -> Outline:
        return ivf_search(world.scoring, blocks, Probing(probed, float(family.split()[-1])), OPSET)

    def find(queries: np.ndarray, family: str, effort: int) -> np.ndarray:
        if (family, effort) not in sessions:
            sessions[family, effort] = _opened(graph(family, effort), world.folder)
        return _asked(sessions[family, effort], queries)

    some = efforts(3, max(3, min(blocks.count // 2, _MOST_ITEMS // width)))
    return Index(graph("spread 0", 3).size_bytes, {"spread 0": some, "spread 1": some}, find)


def ours_rerank(search: Callable[[Scoring, int], Outline]) -> Callable[[World], Index]:
    """Every item roughly, and as many again by their rows as `search` holds to be enough: there is one effort."""

    def build(world: World) -> Index:
        graph = search(world.scoring, OPSET)
        session = _opened(graph, world.folder)
        return Index(graph.size_bytes, {"all": [1]}, lambda queries, *_: _asked(session, queries))

    return build


def _opened(graph: Outline, folder: Path) -> ort.InferenceSession:
    """Tables are mapped, as when serving; the file may go while the session stays."""
    own = Path(tempfile.mkdtemp(dir=folder))
    write_outline(graph, own / "model.onnx")
    session = ort.InferenceSession(str(own / "model.onnx"), session_options(), providers=["CPUExecutionProvider"])
    shutil.rmtree(own)
    return session


def _asked(session: ort.InferenceSession, queries: np.ndarray) -> np.ndarray:
    given = {"query": np.ascontiguousarray(queries[:, :-1]), "k": np.array([TOP])}
    given["excluded"] = np.empty((len(queries), 0), dtype=np.int32)
    return session.run(None, given)[0]


def faiss_ivf(kind: str) -> Callable[[World], Index]:
    """`kind`: Flat, SQ8, or PQ, which keeps 4 bits for two dimensions and scores the best again by fp32 rows."""

    def build(world: World) -> Index:
        import faiss

        faiss.omp_set_num_threads(1)
        lists = leaves_of(len(world.vectors))
        extra = -world.vectors.shape[1] % 4 if kind == "PQ" else 0
        vectors = np.pad(world.vectors, ((0, 0), (0, extra))) if extra else world.vectors
        last = f"PQ{vectors.shape[1] // 2}x4fs,RFlat" if kind == "PQ" else kind
        index = faiss.index_factory(vectors.shape[1], f"IVF{lists},{last}", faiss.METRIC_INNER_PRODUCT)
        faiss.extract_index_ivf(index).cp.max_points_per_centroid = _POINTS
        index.train(vectors)
        index.add(vectors)

        def find(queries: np.ndarray, family: str, effort: int) -> np.ndarray:
            how = faiss.SearchParametersIVF(nprobe=effort)
            if extra:
                queries = np.pad(queries, ((0, 0), (0, extra)))
            if kind == "PQ":
                factor = int(family.split()[-1])
                how = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=how)
            return index.search(queries, TOP, params=how)[1]

        families = [f"again {factor}" for factor in _PQ_AGAIN] if kind == "PQ" else ["plain"]
        return Index(len(faiss.serialize_index(index)), dict.fromkeys(families, efforts(1, lists // 2)), find)

    return build


def faiss_hnsw(world: World) -> Index:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(world.vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100
    index.add(world.vectors)

    def find(queries: np.ndarray, family: str, effort: int) -> np.ndarray:
        return index.search(queries, TOP, params=faiss.SearchParametersHNSW(efSearch=effort))[1]

    return Index(len(faiss.serialize_index(index)), {"M 16": efforts(10, 4000)}, find)


def usearch(kind: str) -> Callable[[World], Index]:
    """On the sphere (see `_on_a_sphere`): usearch rounds to i8 as if all vectors were of one length."""

    def build(world: World) -> Index:
        from usearch.index import Index as Graph

        sphere = _on_a_sphere(world.vectors)
        index = Graph(ndim=sphere.shape[1], metric="cos", dtype=kind, connectivity=16, expansion_add=100)
        index.add(np.arange(len(sphere)), sphere, threads=1)

        def find(queries: np.ndarray, family: str, effort: int) -> np.ndarray:
            index.expansion_search = effort
            queries = np.pad(queries, ((0, 0), (0, 1)))
            if len(queries) == 1:
                return index.search(queries[0], TOP, threads=1).keys[None, :]
            return index.search(queries, TOP, threads=1).keys

        return Index(index.serialized_length, {"M 16": efforts(10, 4000)}, find)

    return build


def scann(world: World) -> Index:
    from scann import scann_ops_pybind

    lists = leaves_of(len(world.vectors))
    searcher = (
        scann_ops_pybind.builder(world.vectors, TOP, "dot_product")
        .set_n_training_threads(1)
        .tree(num_leaves=lists, num_leaves_to_search=10, training_sample_size=min(len(world.vectors), 250_000))
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .reorder(100)
        .build()
    )
    with tempfile.TemporaryDirectory(dir=world.folder) as folder:
        searcher.serialize(folder)
        size_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())

    def find(queries: np.ndarray, family: str, effort: int) -> np.ndarray:
        how = {"leaves_to_search": effort, "pre_reorder_num_neighbors": int(family.split()[-1])}
        if len(queries) == 1:
            return searcher.search(queries[0], final_num_neighbors=TOP, **how)[0][None, :]
        return searcher.search_batched(queries, final_num_neighbors=TOP, **how)[0]

    families = [f"again {count}" for count in _SCANN_AGAIN]
    return Index(size_bytes, dict.fromkeys(families, efforts(1, lists // 2)), find)


def exact(world: World) -> Index:
    """Every item, by numpy."""

    def find(queries: np.ndarray, family: str, effort: int) -> np.ndarray:
        scores = queries @ world.vectors.T
        best = np.argpartition(scores, -TOP, axis=1)[:, -TOP:]
        return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)

    return Index(world.vectors.nbytes, {"all": [1]}, find)


def _on_a_sphere(vectors: np.ndarray) -> np.ndarray:
    """One dimension more makes all vectors as long as the longest; the nearest by angle are then the best by inner
    product (Bachrach et al., 2014)."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return np.column_stack([vectors, np.sqrt(squares.max() - squares)]).astype(np.float32)


METHODS: dict[str, Callable[[World], Index]] = {
    "exact (numpy)": exact,
    "ivf (ours)": ours_ivf,
    "int4-rerank (ours)": ours_rerank(int4_search),
    "int8-rerank (ours)": ours_rerank(int8_search),
    "ScaNN": scann,
    "FAISS IVF-flat": faiss_ivf("Flat"),
    "FAISS IVF-SQ8": faiss_ivf("SQ8"),
    "FAISS IVF-PQ refined": faiss_ivf("PQ"),
    "FAISS HNSW": faiss_hnsw,
    "usearch f32": usearch("f32"),
    "usearch i8": usearch("i8"),
}


def without_popular(scoring: Scoring) -> Scoring:
    """What is mixed in after the search is no question to any of the libraries."""
    return replace(scoring, popular=None)
