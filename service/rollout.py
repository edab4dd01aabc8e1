"""Which artifact serves: loaded once, checked, and exchanged when another is promoted."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from contracts.artifact import Artifact, open_artifact
from contracts.encoding import Catalog, RepeatPolicy
from contracts.faults import ArtifactFault
from contracts.pointer import POINTER, read_pointer
from contracts.promotions import served_before
from contracts.sections import Paths
from service import telemetry
from service.popular import PopularList
from service.prediction import Model
from service.predictor import OnnxPredictor

_LOG = logging.getLogger(__name__)

Opened = TypeVar("Opened")

_GC_THRESHOLDS = 50_000, 20, 100
"""Objects, and looks at younger ones, between two looks of the garbage collector at each generation."""


@dataclass(frozen=True)
class Serving:
    """One artifact, loaded and warm."""

    artifact: Artifact
    predictor: OnnxPredictor
    catalog: Catalog
    popular: PopularList

    @property
    def repeat_policy(self) -> RepeatPolicy:
        return self.artifact.manifest.repeat_policy

    @cached_property
    def needs_history(self) -> bool:
        """A popularity model is as good for a cold user as for anyone."""
        return self.artifact.manifest.rung != "popularity"

    @cached_property
    def model(self) -> Model:
        manifest = self.artifact.manifest
        return Model(manifest.rung, manifest.variant, self.artifact.version)

    @cached_property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every answer says of the model outside its body."""
        return (b"x-model-version", self.model.version.encode()), (b"x-variant", self.model.variant.encode())


class NothingPromoted(ArtifactFault):
    """There is no pointer, neither under `artifacts/` nor under `bundle/`."""


class Promotion(NamedTuple):
    """What a pointer says, and which writing of it says so: promoting the same path again differs."""

    path: Path
    folder: Path
    written_ns: int
    inode: int


def open_promoted(paths: Paths, opening: Callable[[Path], Opened]) -> Opened:
    """What `opening` makes of the promoted artifact, or of the last one before it that it does not refuse.

    Raises what `opening` raises for the promoted one when it refuses all; `ArtifactFault` when there is none.
    """
    return _open_soundest(_promotion(paths), opening)[0]


def _open_soundest(promotion: Promotion, opening: Callable[[Path], Opened]) -> tuple[Opened, list[Exception]]:
    """What could be opened, and what was said of those that were promoted after it."""
    refusals: list[Exception] = []
    for path in (promotion.path, *served_before(promotion.folder)):
        try:
            return opening(path), refusals
        except Exception as error:  # whatever it is: as in `Rollout.check`
            refusals.append(error)
    raise refusals[0]


def _promotion(paths: Paths) -> Promotion:
    """The promoted artifact under `artifacts/`, or under `bundle/` where nothing was ever promoted here.

    A bento holds no `artifacts/`: it carries what `promote` put into the bundle. Raises `ArtifactFault`.
    """
    for folder in (paths.artifacts, paths.bundle):
        if promotion := _read_promotion(folder):
            return promotion
    raise NothingPromoted(
        f"nothing is promoted: neither {paths.artifacts / POINTER} nor {paths.bundle / POINTER} exists. "
        "Run `flyweight train --all`, `export --all`, `measure` and `promote` first, or `make demo`."
    )


def _read_promotion(folder: Path) -> Promotion | None:
    pointer = folder / POINTER
    try:
        stat = pointer.stat()  # before it is read: what is written in between is then looked at again
        path = read_pointer(folder)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ArtifactFault(
            f"{pointer} may not be read by user {os.geteuid()}, as which this runs. "
            f"Let it: `chmod -R a+rX {folder}`."
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactFault(
            f"{pointer} cannot be read ({error}); expected a text file of one line. Run `flyweight promote` again."
        ) from error
    return Promotion(path, folder, stat.st_mtime_ns, stat.st_ino) if path else None


def load(path: Path) -> Serving:
    """Open, verify and warm up an artifact. Raises `ArtifactFault`."""
    artifact = open_artifact(path)
    predictor = OnnxPredictor(artifact)
    predictor.replay_probes()
    return Serving(artifact, predictor, artifact.catalog, PopularList(artifact.popular))


class Rollout:
    """The artifact that serves in this worker. `current` is replaced in one step, between two batches."""

    def __init__(self, paths: Paths, *, check_ms: int) -> None:
        self._paths = paths
        self._check_seconds = check_ms / 1000
        self._considered: Promotion | None = None
        self._complaint = ""
        self.current: Serving | None = None

    def boot(self) -> None:
        """Load what is promoted, or what served before it where that is broken.

        Raises `ArtifactFault`: without an artifact there is nothing to serve.
        """
        self._considered = _promotion(self._paths)
        serving, refusals = _open_soundest(self._considered, load)
        self._put(serving)
        for refusal in refusals:
            self._refuse(str(refusal))

    async def follow(self) -> None:
        """Look at the pointer for ever, and serve what it names once that has proved to work."""
        while True:
            await asyncio.sleep(self._check_seconds)
            try:
                await self.check()
            except Exception as error:  # whatever it is, the next promotion shall be seen
                self._complain(f"looking for a promotion failed: {error!r}")

    async def check(self) -> None:
        """Look once. A promoted artifact that does not load is refused, and the current one serves on.

        It is tried again when the pointer is written again.
        """
        try:
            promotion = _promotion(self._paths)
        except NothingPromoted:
            return  # the pointer was taken away: nothing else is promoted, so nothing changes
        except ArtifactFault as fault:
            self._complain(str(fault))
            return
        self._complaint = ""
        if promotion == self._considered:
            return
        self._considered = promotion  # whether it works or not, it is tried once
        if promotion.path == self.current.artifact.path:
            return
        try:
            self._put(await asyncio.to_thread(load, promotion.path))
        except Exception as error:
            self._refuse(str(error))

    def _complain(self, problem: str) -> None:
        """Refuse once: a problem that stays is met at every look."""
        if problem != self._complaint:
            self._complaint = problem
            self._refuse(problem)

    def _refuse(self, problem: str) -> None:
        telemetry.count_refused_promotion()
        _LOG.error("promotion refused, %s serves: %s", self.current.artifact.path, problem)

    def _put(self, serving: Serving) -> None:
        before, self.current = self.current, serving
        if before is not None:
            _LOG.info("%s serves instead of %s", serving.artifact.path, before.artifact.path)
            telemetry.show_model(before.model, serves=False)
        telemetry.show_model(serving.model, serves=True)
        # What is loaded stays: the collector need not walk over it again, which would hold up requests
        # for tens of milliseconds each time. Requests leave next to no cycles, so it may look seldom.
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
