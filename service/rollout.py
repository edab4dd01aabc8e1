"""Which artifact serves: loaded once, checked, and exchanged when another is promoted."""

import asyncio
import gc
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contracts.artifact import Artifact
from contracts.encoding import Catalog, RepeatPolicy
from contracts.faults import ArtifactFault
from contracts.sections import Paths
from service import telemetry
from service.checked import open_checked
from service.popular import PopularList
from service.prediction import Model
from service.predictor import OnnxPredictor
from service.promoted import NothingPromoted, Promotion, open_soundest, read_promotion
from service.turns import turn

_LOG = logging.getLogger(__name__)

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


def load(path: Path) -> Serving:
    """Open, verify and warm up an artifact. Raises `ArtifactFault`."""
    return warm_up(open_checked(path))


def warm_up(artifact: Artifact) -> Serving:
    """Load an artifact and ask its probes. Raises `ArtifactFault`."""
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
        self._considered = read_promotion(self._paths)
        serving, refusals = open_soundest(self._considered, load)
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
            promotion = read_promotion(self._paths)
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
            if serving := await self._load(promotion):
                self._put(serving)
        except Exception as error:
            self._refuse(str(error))

    async def _load(self, promotion: Promotion) -> Serving | None:
        """None where something else was promoted meanwhile; the next look takes that. Raises what `load` does."""
        artifact = await asyncio.to_thread(open_checked, promotion.path)
        if artifact.manifest.search is None:
            return await asyncio.to_thread(warm_up, artifact)
        async with turn(self._paths.state):  # ScaNN holds Python's lock while it reads an index
            if read_promotion(self._paths) != promotion:
                return None
            return await asyncio.to_thread(load, promotion.path)

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
