"""What is known of an artifact on one machine, as it stands in `measured-MACHINE.json` in its directory."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from contracts import durable
from contracts.artifact import MANIFEST, Artifact
from contracts.machine import machine_name
from export.measuring.evaluation import Estimate, Evaluation
from export.measuring.footprint import Footprint
from export.measuring.latency import Latency


class Machine(msgspec.Struct, frozen=True):
    name: str
    cpu: str
    cores: int
    threads: int


class Comparison(msgspec.Struct, frozen=True):
    """This artifact's promotion metric minus another's, question by question, with its 95 % interval."""

    name: str
    version: str
    difference: Estimate


class Measured(msgspec.Struct, frozen=True):
    """Everything known of one artifact on one machine. `run` is the same for all measured together.

    `against_fp32` compares a compressed artifact with the uncompressed one of its run, one that learned its
    compression with that of its rung, where that was measured too. `policy_gain` is the promotion metric under the
    artifact's repeat policy minus the same under `mask`. `recall` is the share of the ten best of the uncompressed
    graph of the same run that this one gives, over all questions: 1 for what was not converted, None where that
    graph was not measured too.
    """

    run: str
    manifest_sha256: str
    machine: Machine
    metric: str
    quality: Evaluation
    against_baseline: Comparison
    against_best: Comparison
    against_fp32: Comparison | None
    policy_gain: Estimate | None
    latency: list[Latency]
    size_bytes: int
    footprint: Footprint
    recall: float | None = 1.0


@dataclass(frozen=True)
class Candidate:
    """An artifact with what was measured of it."""

    artifact: Artifact
    measured: Measured

    @property
    def quality(self) -> Estimate:
        return self.measured.quality.metrics[self.measured.metric]

    @property
    def place(self) -> Path:
        """Where the figures stand."""
        return _place(self.artifact)

    @property
    def latency(self) -> Latency:
        """Of the smallest batch that was measured."""
        return min(self.measured.latency, key=lambda latency: latency.batch_size)

    @property
    def p50_ms(self) -> float:
        return self.latency.p50_ms


def read_measured(artifact: Artifact) -> Measured | None:
    """What this machine measured of exactly this artifact, or None."""
    try:
        measured = msgspec.json.decode(_place(artifact).read_bytes(), type=Measured)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):  # an older form of the file: measure again
        return None
    is_of_this = measured.manifest_sha256 == manifest_sha256(artifact) and measured.machine.name == machine_name()
    return measured if is_of_this else None


def write_measured(artifact: Artifact, measured: Measured) -> None:
    """Whole or not at all, outside the seal."""
    durable.write_bytes(_place(artifact), msgspec.json.format(msgspec.json.encode(measured), indent=2))


def manifest_sha256(artifact: Artifact) -> str:
    return hashlib.sha256((artifact.path / MANIFEST).read_bytes()).hexdigest()


def _place(artifact: Artifact) -> Path:
    return artifact.path / f"measured-{machine_name()}.json"
