"""The figures of `make bench-catalog`: what an artifact costs to serve, beside how good its answers are."""

from pathlib import Path

import msgspec

from contracts.artifact import Artifact
from contracts.machine import machine_name
from contracts.sections import HEADS
from loadtests.capacity import Capacity
from loadtests.peers.catalog_plans import EXACT, Plan
from loadtests.peers.figures import Measured
from loadtests.verdict import Verdict


class Estimate(msgspec.Struct, frozen=True):
    """With its 95 % interval."""

    value: float
    low: float
    high: float


class Probed(msgspec.Struct, frozen=True):
    """Recall of the exact ten best when a question looks at so many blocks of the catalog."""

    blocks: int
    recall: float


class Target(msgspec.Struct, frozen=True):
    """An open load test of a service with the default deadline: the verdict at a rate, or the highest rate."""

    objectives: tuple[str, ...]
    verdict: Verdict | None = None
    capacity: Capacity | None = None


class Row(msgspec.Struct, frozen=True):
    """One artifact. `size` is the name of its catalog, `items` how many are really in it. MB are 10^6 bytes.

    `measured` are medians over rounds, `ready_seconds` and `resident_mb` too. `recall`: of the exact ten best, as
    `flyweight export` found it on real histories, `curve` for other numbers of blocks; None for exact graphs.
    `ndcg`: NDCG@10 on the holdout; None where nobody measured it.
    """

    size: int
    artifact: str
    version: str
    date: str
    items: int
    artifact_mb: float
    users: int
    ready_seconds: float
    resident_mb: float
    measured: Measured
    recall: float | None
    curve: list[Probed]
    ndcg: Estimate | None
    target: Target | None = None


class Failure(msgspec.Struct, frozen=True):
    """An artifact without a figure, and why; `artifact` is empty where the whole catalog has none."""

    size: int
    artifact: str
    why: str


class Report(msgspec.Struct):
    """The content of `reports/catalog.json`. `plans`: what the catalogs were made from. `left_out`: heads that
    `flyweight export` could not make."""

    machine: str
    cores: int
    command: str
    seconds: int
    rounds: int
    connections: int
    plans: dict[int, Plan]
    rows: list[Row]
    failures: list[Failure]
    left_out: list[Failure] = []


class _Attempt(msgspec.Struct):
    rung: str
    variant: str
    status: str
    why: str
    overlap: float | None
    curve: list[Probed] = []


class _Quality(msgspec.Struct):
    metrics: dict[str, Estimate]


class _Known(msgspec.Struct):
    quality: _Quality


def recall_of(artifact: Artifact) -> tuple[float | None, list[Probed]]:
    """What `flyweight export` wrote down of a head."""
    if is_exact(artifact):
        return None, []
    for attempt in _attempts(artifact):
        if attempt.variant == artifact.manifest.variant:
            return attempt.overlap, attempt.curve
    return None, []


def left_out_of(size: int, exact: Artifact) -> list[Failure]:
    """The heads of the run of `exact` that were tried and not made."""
    return [
        Failure(size, f"{attempt.rung}:{attempt.variant}", attempt.why)
        for attempt in _attempts(exact)
        if attempt.status != "made" and attempt.variant in HEADS
    ]


def _attempts(artifact: Artifact) -> list[_Attempt]:
    record = artifact.path.parent / f"variants-{artifact.manifest.run}.json"
    return msgspec.json.decode(record.read_bytes(), type=list[_Attempt]) if record.exists() else []


def is_exact(artifact: Artifact) -> bool:
    """Whether every item is scored as the model learned to."""
    return artifact.manifest.variant in (EXACT, "jpq")


def ndcg_of(artifact: Artifact) -> Estimate | None:
    """What `flyweight measure` wrote down on this machine."""
    path = artifact.path / f"measured-{machine_name()}.json"
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=_Known).quality.metrics.get("NDCG@10")


def with_earlier(report: Report, out: Path) -> Report:
    """`report` with what the file `out` has of catalogs that were not measured now, on the same machine."""
    try:
        earlier = msgspec.json.decode(out.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return report
    if (earlier.machine, earlier.cores) != (report.machine, report.cores):
        return report

    def kept(found: list) -> list:
        return [one for one in found if one.size not in report.plans]

    return msgspec.structs.replace(
        report,
        plans=dict(sorted((earlier.plans | report.plans).items())),
        rows=sorted(kept(earlier.rows) + report.rows, key=lambda row: row.size),
        failures=kept(earlier.failures) + report.failures,
        left_out=kept(earlier.left_out) + report.left_out,
    )
