"""What `growth` measures: cases, the curves they make up, and the artifact that each is served from."""

import contextlib
import shutil
from pathlib import Path

import msgspec

from contracts import durable
from contracts.artifact import open_artifact
from contracts.faults import Fault
from contracts.revision import code_revision
from loadtests.peers import WORKERS, figures
from loadtests.peers.world import HISTORY, ITEMS, World, make_world

RUNGS = ("sasrec", "item-to-item")
CATALOGS = (1_000, 10_000, 100_000, 1_000_000)
HISTORIES = (10, 50, 200)
CONNECTIONS = (1, 4, 16, 64, 256)
_USUAL_CONNECTIONS = 64
_MADE = "made.json"


class Stand(msgspec.Struct, frozen=True):
    """One service: random weights of `rung` over `items`, `history` items of each user read, so many workers."""

    rung: str
    items: int = ITEMS
    history: int = HISTORY
    workers: int = WORKERS

    @property
    def name(self) -> str:
        return f"{self.rung}, {self.items:,} items, history of {self.history}, {self.workers} workers"

    @property
    def folder(self) -> str:
        """Of its artifact, which does not depend on the workers."""
        return f"{self.rung}-{self.items}-{self.history}"


class Case(msgspec.Struct, frozen=True):
    """A service under so many connections."""

    stand: Stand
    connections: int = _USUAL_CONNECTIONS


class Point(msgspec.Struct, frozen=True):
    """What was measured of a case in one round, or the medians over rounds (then `measured.round` is 0)."""

    case: Case
    measured: figures.Measured


class Curve(msgspec.Struct, frozen=True):
    """Cases that differ in one thing, `axis`: a field of `Case` or of its stand. One line for each rung."""

    name: str
    axis: str
    title: str
    axis_label: str
    cases: tuple[Case, ...]

    def place(self, case: Case) -> int:
        return case.connections if self.axis == "connections" else getattr(case.stand, self.axis)


def curves(cores: int) -> tuple[Curve, ...]:
    """All that is asked on a machine of so many cores."""
    workers = sorted({1, 2, cores})
    return (
        Curve(
            "growth-catalog", "items", "Catalog size", "items in the catalog",
            tuple(Case(Stand(rung, items=items)) for rung in RUNGS for items in CATALOGS),
        ),
        Curve(
            "growth-history", "history", "History length", "newest items of a user that the model reads",
            tuple(Case(Stand("sasrec", history=history)) for history in HISTORIES),
        ),
        Curve(
            "growth-connections", "connections", "Connections", "connections, each with one question at a time",
            tuple(Case(Stand("sasrec"), connections) for connections in CONNECTIONS),
        ),
        Curve(
            "growth-workers", "workers", "Workers", "worker processes",
            tuple(Case(Stand("sasrec", workers=count)) for count in workers),
        ),
    )  # fmt: skip


def stands_of(asked: tuple[Curve, ...]) -> dict[Stand, tuple[int, ...]]:
    """Every service once, with the numbers of connections it is asked under; the smallest number first."""
    cases = dict.fromkeys(case for curve in asked for case in curve.cases)
    stands: dict[Stand, list[int]] = {}
    for case in cases:
        stands.setdefault(case.stand, []).append(case.connections)
    return {stand: tuple(sorted(connections)) for stand, connections in stands.items()}


def medians(points: list[Point]) -> list[Point]:
    """One point per case, in the order in which they first came."""
    cases = {(point.measured.model, point.measured.connections): point.case for point in points}
    found = figures.medians(point.measured for point in points)
    return [Point(cases[one.model, one.connections], one) for one in found]


def world_of(stand: Stand, folder: Path, redis_url: str) -> World:
    """The artifact in `folder` where this revision of the code made it already, else a new one in its place.

    That of a million items takes minutes. Raises `Fault` when it cannot be made.
    """
    place = folder / stand.folder
    if (kept := _kept(stand, place, redis_url)) is not None:
        return kept
    shutil.rmtree(place, ignore_errors=True)
    world = make_world(stand.rung, place, redis_url, items=stand.items, history=stand.history)
    made = {"code_revision": code_revision(), "artifact": str(world.artifact.path)}
    durable.write_bytes(place / _MADE, msgspec.json.encode(made))
    return world


def _kept(stand: Stand, place: Path, redis_url: str) -> World | None:
    with contextlib.suppress(OSError, msgspec.DecodeError, KeyError, Fault):
        made = msgspec.json.decode((place / _MADE).read_bytes(), type=dict[str, str])
        if made["code_revision"] == code_revision():
            artifact = open_artifact(Path(made["artifact"]))
            return World(stand.rung, place / "flyweight.toml", artifact, redis_url)
    return None
