"""One artifact's graph in onnxruntime: the predictor that serves, and that measures and evaluates."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from contracts.artifact import MANIFEST, Artifact, Probe, Tensor
from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import ArtifactFault
from contracts.graph import (
    EXCLUDED,
    FOUND,
    HISTORY,
    ITEMS,
    QUERY,
    SCORES,
    K,
    graph_inputs,
    graph_outputs,
    query_outputs,
    rescoring_inputs,
)
from service.candidates import Candidates

_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
"""How far a replayed score may be from the sealed one: another processor rounds differently."""

_SCORES_AT_ONCE = 4_000_000
"""Bounds the memory that asking the probes takes."""

_DTYPES = {"tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(float)": "float32"}
_REMEDY = "Export the run again with `flyweight export`, or promote another artifact."


class OnnxPredictor:
    """Encoded histories -> top-k items of one artifact. Raises `ArtifactFault` on a graph it cannot use."""

    def __init__(self, artifact: Artifact, *, threads: int = 1) -> None:
        self.artifact = artifact
        self.items = artifact.manifest.items
        self.max_history = artifact.manifest.max_history
        self.room = artifact.manifest.room
        self._session = _open_session(artifact.model_path, threads)
        self._index = None if artifact.manifest.search is None else Candidates(artifact)
        if self._index is not None:
            self._encoder = _open_session(artifact.query_path, threads)
        self._check()

    def _check(self) -> None:
        """The graphs must have the tensors that the contract names, and the manifest must say so too."""
        artifact, inputs, outputs = self.artifact, graph_inputs(self.max_history), graph_outputs()
        sealed, session = artifact.manifest, self._session
        _check_manifest(artifact.path / MANIFEST, "inputs", sealed.inputs, inputs)
        _check_manifest(artifact.path / MANIFEST, "outputs", sealed.outputs, outputs)
        if sealed.search is not None:
            dimension = sealed.search.dimension
            _check_graph(artifact.query_path, "inputs", self._encoder.get_inputs(), inputs[:1])
            _check_graph(artifact.query_path, "outputs", self._encoder.get_outputs(), query_outputs(dimension))
            inputs = rescoring_inputs(dimension)
        _check_graph(artifact.model_path, "inputs", session.get_inputs(), inputs)
        _check_graph(artifact.model_path, "outputs", session.get_outputs(), outputs)

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best k items for each row, best first.

        history   int32 `[batch, max_history]`, see `contracts.encoding.encode_histories`
        excluded  int32 `[batch, m]`, see `contracts.encoding.encode_excluded`
        k         at least 1; more than the catalog holds is cut to it

        Returns items int64 `[batch, k]` and scores float32 `[batch, k]`; -inf marks an excluded item.
        """
        count = min(k, self.items)
        given = {EXCLUDED: excluded, K: np.array([count], dtype=np.int64)}
        if self._index is None:
            given[HISTORY] = history
        else:
            (given[QUERY],) = self._encoder.run((QUERY,), {HISTORY: history})
            given[FOUND] = self._index.find(given[QUERY], count + excluded.shape[1])
        items, scores = self._session.run((ITEMS, SCORES), given)
        return items, scores

    def replay_probes(self) -> None:
        """Ask every sealed probe again: warm-up and self-check in one. Raises `ArtifactFault`."""
        probes = self.artifact.probes
        if not probes:
            return
        k = max(max(len(probe.items) for probe in probes), 1)
        items, scores = self.ask_probes([probe.history for probe in probes], k)
        for number, probe in enumerate(probes):
            count = len(probe.items)
            found = items[number, :count].tolist()
            if not _is_same_answer(probe, found, scores[number, :count]):
                raise ArtifactFault(
                    f"{self.artifact.path} answers its probe {number} with items {found}, sealed is "
                    f"{probe.items} (scores within {_RELATIVE:.1%}). {_REMEDY}"
                )

    def ask_probes(self, histories: Sequence[Sequence[int]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Items and scores as `predict` gives them, with all of each history excluded.

        Of a large catalog few are asked at once: what the engine once took it keeps, and a worker that began with
        32 rows of ten million scores would hold a gigabyte for ever.
        """
        rows = max(1, _SCORES_AT_ONCE // self.items)
        pieces = [histories[start : start + rows] for start in range(0, len(histories), rows)]
        answers = [self.predict(encode_histories(p, self.max_history), encode_excluded(p), k) for p in pieces]
        return tuple(np.concatenate(each) for each in zip(*answers, strict=True))


def _open_session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised, and standard error is for our own lines
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class for its errors
        raise ArtifactFault(f"{path} is no graph to serve: {error}. {_REMEDY}") from error


def _check_graph(path: Path, side: str, found: list[ort.NodeArg], expected: list[Tensor]) -> None:
    shown = [Tensor(arg.name, _DTYPES.get(arg.type, arg.type), list(arg.shape)) for arg in found]
    if not _have_same_form(shown, expected):
        raise ArtifactFault(f"{path} has the {side} {_show(shown)}, expected {_show(expected)}. {_REMEDY}")


def _check_manifest(path: Path, side: str, sealed: list[Tensor], expected: list[Tensor]) -> None:
    """Whatever graphs there are, together they have the tensors that the contract names."""
    if not _have_same_form(sealed, expected):
        raise ArtifactFault(f"{path} says the {side} are {_show(sealed)}, expected {_show(expected)}. {_REMEDY}")


def _have_same_form(some: list[Tensor], others: list[Tensor]) -> bool:
    """Same names, types and sizes; how a varying dimension is called does not matter."""
    return _forms(some) == _forms(others)


def _forms(tensors: list[Tensor]) -> dict[str, tuple]:
    return {
        tensor.name: (tensor.dtype, [size if isinstance(size, int) else None for size in tensor.shape])
        for tensor in tensors
    }


def _show(tensors: list[Tensor]) -> str:
    return ", ".join(f"{t.name} {t.dtype} {t.shape}" for t in tensors) or "none"


def _is_same_answer(probe: Probe, items: list[int], scores: np.ndarray) -> bool:
    """Equal up to the order of items whose scores are within tolerance of each other."""
    expected = np.asarray(probe.scores, dtype=np.float32)
    if len(items) != len(probe.items) or not _is_close(scores, expected).all():
        return False
    sealed_score = dict(zip(probe.items, expected, strict=True))
    last = expected[-1] if len(expected) else 0.0  # an item from beyond the cut can only tie with the last
    return len(set(items)) == len(items) and all(
        item == sealed or _is_close(score, sealed_score.get(item, last))
        for item, sealed, score in zip(items, probe.items, scores, strict=True)
    )


def _is_close(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.isclose(found, expected, rtol=_RELATIVE, atol=_ABSOLUTE)
