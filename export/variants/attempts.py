"""The variants of a run, made from its fp32 graph, and the record of every one that was tried.

`artifacts/variants-RUN.json` says of each whether it was made, and if not, why: none is dropped in silence.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import onnx

from contracts import durable
from contracts.faults import ArtifactFault
from export.graphs.outline import Outline, inlined, outlined
from export.heads.probing import Probed
from export.variants.calibration import Range, ranges_of
from export.variants.fp16 import to_fp16
from export.variants.int8 import to_int8_dynamic, to_int8_static
from export.variants.rewriting import CannotBeMade

_RECORD = "variants-{}.json"


class Attempt(msgspec.Struct, frozen=True):
    """One variant of one run. `why` it failed or is impossible, empty where it was made; `artifact` is its
    directory's name then. `overlap` and `score_difference` say how close to fp32 it is, of fp32 itself how
    close to the trained model; None where it could not be asked. `curve`: of a head that looks at blocks of the
    catalog, the recall of the ten best for other numbers of blocks."""

    rung: str
    variant: str
    status: Literal["made", "failed", "impossible"]
    why: str
    overlap: float | None
    score_difference: float | None
    artifact: str | None
    run: str = ""
    curve: list[Probed] = []


def compress(variant: str, fp32: Outline, histories: list[list[int]], max_history: int) -> Outline:
    """The graph of a run in another variant than fp32; `histories` calibrate what is static.

    Raises `CannotBeMade`, also where nothing would be saved.
    """

    def calibrate(model: onnx.ModelProto, tensors: list[str]) -> dict[str, Range]:
        return ranges_of(model, tensors, histories, max_history)

    if not fp32.fits_in_one_piece:
        raise CannotBeMade(f"the graph takes {fp32.size_bytes:,} bytes, more than this rewriting can hold at once")
    whole = inlined(fp32)
    if variant == "fp16":
        made = to_fp16(whole)
    elif variant == "int8-dynamic":
        made = to_int8_dynamic(whole)
    else:
        made = to_int8_static(whole, calibrate)
    small = outlined(made)
    if small.size_bytes >= fp32.size_bytes:
        raise CannotBeMade(
            f"the graph would take {small.size_bytes:,} bytes, {fp32.size_bytes:,} without: nothing is saved"
        )
    return small


def record_attempts(artifacts: Path, attempts: list[Attempt]) -> None:
    """Write down what became of the variants of one run; what was tried of it before and not now stays."""
    path = artifacts / _RECORD.format(attempts[0].run)
    now = {attempt.variant: attempt for attempt in attempts}
    with durable.lock(artifacts / ".variants.lock"):  # another export may record other variants of the run
        earlier = {attempt.variant: attempt for attempt in _read(path)} if path.exists() else {}
        content = msgspec.json.encode([*(earlier | now).values()])
        durable.write_bytes(path, msgspec.json.format(content, indent=2))
        durable.make_newest(path, _records(artifacts))


def read_attempts(artifacts: Path) -> list[Attempt]:
    """Every variant that was tried of every run, the run that was exported last coming last."""
    records = sorted(_records(artifacts), key=lambda path: (path.stat().st_mtime_ns, path))
    return [attempt for path in records for attempt in _read(path)]


def _records(artifacts: Path) -> Iterator[Path]:
    return artifacts.glob(_RECORD.format("*"))


def _read(path: Path) -> list[Attempt]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Attempt])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArtifactFault(
            f"{path} is damaged: {error}. Expected a list of variants. Remove it and run `flyweight export`."
        ) from error
