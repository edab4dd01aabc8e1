"""What a worker says of itself: /status for machines and people, / for people, /metrics for Prometheus."""

import asyncio
import contextlib
import importlib.metadata
import platform

import msgspec

from contracts.machine import cores
from service import telemetry
from service.exchange import TEXT, Exchange, Reply
from service.routes import ROUTES
from service.worker import Worker

_LIBRARIES = ("flyweight", "bentoml", "onnxruntime", "numpy", "msgspec", "redis", "starlette", "uvicorn")


async def status(worker: Worker, exchange: Exchange) -> Reply:
    artifact = worker.rollout.current.artifact
    fault = await worker.breaker.fault()
    manifest = artifact.manifest
    status = {
        "artifact": {
            "name": manifest.rung,
            "variant": manifest.variant,
            "version": artifact.version,
            "path": str(artifact.path),
            "items": manifest.items,
            "max_history": manifest.max_history,
            "repeat_policy": manifest.repeat_policy,
            "size_bytes": artifact.size_bytes,
        },
        "features": {
            "state": fault.removeprefix("feature_cache_") if fault else "up",
            "breaker": "open" if worker.breaker.is_open else "closed",
        },
        "degraded": fault is not None,
        "workers": worker.settings.service.workers or cores(),
        "shortcut": worker._takes_shortcut,
        "versions": _versions(),
    }
    return Reply(msgspec.json.encode(status))


async def index(worker: Worker, exchange: Exchange) -> Reply:
    model = worker.rollout.current.model
    lines = [f"Flyweight serves {model.name}:{model.variant} {model.version}.", ""]
    lines += [f"{method:4} {path}" for path, method in ROUTES.items()]
    return Reply("\n".join([*lines, ""]).encode(), TEXT)


class Metrics:
    """Added up in a thread, which lets requests in between: many workers take many milliseconds.

    One at a time, and who asks meanwhile gets the same: many threads would leave the event loop little of the
    interpreter.
    """

    def __init__(self) -> None:
        self._adding_up: asyncio.Task[bytes] | None = None

    async def __call__(self, exchange: Exchange) -> Reply:
        if self._adding_up is None or self._adding_up.done():
            self._adding_up = asyncio.create_task(asyncio.to_thread(telemetry.exposition), name="metrics")
        return Reply(await asyncio.shield(self._adding_up), telemetry.CONTENT_TYPE)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return found
