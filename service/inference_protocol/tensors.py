"""Tensors as the protocol has them: named, typed and shaped, checked against those of the graph.

Every limit is one that /predict has too, so nothing can be asked here that would take longer than there.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from contracts.artifact import Tensor
from contracts.encoding import PADDING
from contracts.graph import EXCLUDED, HISTORY, K, graph_inputs
from service.errors import InvalidRequest
from service.prediction import MAX_EXCLUDED, MAX_HISTORY_IDS, MAX_K
from service.rollout import Serving

MOST_EXCLUDED = MAX_EXCLUDED + MAX_HISTORY_IDS
"""What /predict excludes at most: what it is told to, and what was seen."""

DATATYPES = {"int32": "INT32", "int64": "INT64", "float32": "FP32"}
"""The protocol's names of the types in a manifest."""

_STORED = {"int32": np.dtype("<i4"), "int64": np.dtype("<i8"), "float32": np.dtype("<f4")}
_LONGEST_NAME = 100  # that is said back

Size = tuple[int, int]


def type_of(tensor: Tensor) -> np.dtype:
    """How its numbers lie behind the JSON."""
    return _STORED[tensor.dtype]


@dataclass(frozen=True)
class Form:
    """What one artifact takes, and how much of it at once."""

    model_name: str
    max_history: int
    items: int
    max_batch: int

    @classmethod
    def of(cls, serving: Serving, max_batch: int) -> "Form":
        manifest = serving.artifact.manifest
        return cls(serving.model.name, manifest.max_history, manifest.items, max_batch)

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in graph_inputs(self.max_history)}

    @property
    def most_k(self) -> int:
        return min(MAX_K, self.items)

    def find(self, name: str, place: str) -> Tensor:
        """Raises `InvalidRequest` where the graph has no such input."""
        if name not in self.inputs:
            expected = ", ".join(self.inputs)
            raise InvalidRequest(f"{place}: there is no input {name[:_LONGEST_NAME]!r}; expected {expected}")
        return self.inputs[name]

    def check_shape(self, tensor: Tensor, shape: list[int]) -> None:
        """Raises `InvalidRequest`, before anything of that size is made."""
        bounds = [self._bounds(size) for size in tensor.shape]
        if len(shape) == len(bounds) and all(
            low <= size <= high for size, (low, high) in zip(shape, bounds, strict=True)
        ):
            return
        named = zip(tensor.shape, bounds, strict=True)
        limits = [f"{name} from {low} to {high}" for name, (low, high) in named if isinstance(name, str)]
        with_limits = f" with {', '.join(limits)}" if limits else ""
        raise InvalidRequest(
            f"input {tensor.name}: the shape is {shape}; "
            f"expected [{', '.join(map(str, tensor.shape))}]{with_limits}"
        )

    def _bounds(self, size: int | str) -> Size:
        if isinstance(size, int):
            return size, size
        return (1, self.max_batch) if size == "batch" else (0, MOST_EXCLUDED)

    def check_values(self, tensor: Tensor, values: np.ndarray) -> None:
        """Raises `InvalidRequest` for what is no index of the catalog: the graph would take it for another's."""
        low, high = (1, self.most_k) if tensor.name == K else (PADDING, self.items - 1)
        if values.size and not low <= (least := int(values.min())):
            raise InvalidRequest(f"input {tensor.name}: there is {least}; expected {self._range(tensor)}")
        if values.size and not (most := int(values.max())) <= high:
            raise InvalidRequest(f"input {tensor.name}: there is {most}; expected {self._range(tensor)}")

    def _range(self, tensor: Tensor) -> str:
        if tensor.name == K:
            return f"1 to {self.most_k}"
        return f"item indices from 0 to {self.items - 1}, or {PADDING} for padding"


def check_padding(history: np.ndarray) -> None:
    """Raises `InvalidRequest` for padding right of an item, which would be read as older than it is."""
    is_item = history != PADDING
    wrong = (is_item[:, :-1] & ~is_item[:, 1:]).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidRequest(
            f"input {HISTORY}: row {row} has {PADDING} behind an item; expected padding first, and the newest last"
        )


def check_together(arrays: dict[str, np.ndarray], form: Form) -> None:
    """Raises `InvalidRequest` where one is missing, or one has other rows than another."""
    if missing := [name for name in form.inputs if name not in arrays]:
        raise InvalidRequest(f"inputs: without {', '.join(missing)}; expected {', '.join(form.inputs)}")
    rows, others = len(arrays[HISTORY]), len(arrays[EXCLUDED])
    if rows != others:
        raise InvalidRequest(f"inputs: {HISTORY} has {rows} rows and {EXCLUDED} {others}; expected as many")
    check_padding(arrays[HISTORY])
