"""What the FastAPI and the plain BentoML peer share: their models of question and answer, and one prediction.

One request is one read of Redis and one run of onnxruntime at batch 1: no batching, no stages, no limits.
"""

import os
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime as ort
from pydantic import BaseModel, Field
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from contracts.artifact import open_artifact
from loadtests.peers import ARTIFACT_VARIABLE
from service.history import unpack_numbers

UserId = Annotated[str, Field(min_length=1, max_length=256)]
HowMany = Annotated[int, Field(ge=1, le=500)]

_PADDING = -1
_REDIS_TIMEOUT_SECONDS = 1


class Item(BaseModel):
    item_id: str
    score: float


class ModelName(BaseModel):
    name: str
    variant: str
    version: str


class Answer(BaseModel):
    items: list[Item]
    model: ModelName
    source: str
    reason: str
    degraded: bool


class PlainModel:
    """One artifact in onnxruntime, one thread, no spinning: spinning would take the other worker's core."""

    def __init__(self, folder: Path) -> None:
        artifact = open_artifact(folder)
        manifest = artifact.manifest
        self._catalog, self._popular = artifact.catalog, artifact.popular.tolist()
        self._name = ModelName(name=manifest.rung, variant=manifest.variant, version=artifact.version)
        self._max_history = manifest.max_history
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(artifact.model_path), options, ["CPUExecutionProvider"])

    def recommend(self, stored: bytes | None, k: int) -> Answer:
        """The best k items after a history as Redis holds it, without what is in it; None is an unknown user."""
        seen = self._catalog.indices_of_numbers(unpack_numbers(stored)) if stored else np.empty(0, np.int32)
        if not len(seen):
            popular = [(item, 1 / place) for place, item in enumerate(self._popular[:k], start=1)]
            return self._answer(popular, "popular", "unknown_items" if stored else "cold_user")
        history = np.full((1, self._max_history), _PADDING, dtype=np.int32)
        newest = seen[-self._max_history :]
        history[0, -len(newest) :] = newest
        feeds = {"history": history, "excluded": seen[None], "k": np.array([min(k, len(self._catalog))])}
        items, scores = self._session.run(["items", "scores"], feeds)
        best = [pair for pair in zip(items[0].tolist(), scores[0].tolist(), strict=True) if np.isfinite(pair[1])]
        return self._answer(best, "model", "ok")

    def _answer(self, best: list[tuple[int, float]], source: str, reason: str) -> Answer:
        ids = self._catalog.item_ids
        items = [Item(item_id=ids[item], score=score) for item, score in best]
        return Answer(items=items, model=self._name, source=source, reason=reason, degraded=False)


def open_model() -> PlainModel:
    """The model of the artifact that the environment names."""
    return PlainModel(Path(os.environ[ARTIFACT_VARIABLE]))


def connect_redis() -> redis_asyncio.Redis:
    """Redis as the environment names it. By default the client would try again for seconds."""
    return redis_asyncio.Redis.from_url(
        os.environ["REDIS_URL"],
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
