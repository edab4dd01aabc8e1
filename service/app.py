"""The routes of one worker, as a Starlette application that BentoML mounts at `/`."""

import asyncio
import contextlib
import importlib.metadata
import logging
import platform
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from contracts.machine import cores
from contracts.settings import Settings
from service import telemetry
from service.batching import Batcher
from service.deadlines import Deadline, Overdue
from service.errors import Expired, MethodNotAllowed, NotFound
from service.exchange import TEXT, Endpoint, Exchange, Reply
from service.fair_share import FairShare
from service.feature_cache import FeatureCache
from service.openapi import openapi_document
from service.prediction import Answer, PredictRequest, parse_predict
from service.recommender import Recommendation, Recommender
from service.rollout import Rollout

ROUTES = {
    "/": "GET",
    "/predict": "POST",
    "/status": "GET",
    "/metrics": "GET",
    "/openapi.json": "GET",
    "/livez": "GET",
    "/readyz": "GET",
    "/healthz": "GET",
    "/schema.json": "GET",
}
"""Every path there is and its method; BentoML answers the last four."""

ANSWER_SECONDS = 3
"""How long an answer may take once its body has arrived."""

PREDICT = "/predict"
OTHER = "other"
"""What metrics call the route of all that asks for none of these."""

_LOG = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder()

_LIBRARIES = ("flyweight", "bentoml", "onnxruntime", "numpy", "msgspec", "redis", "starlette", "uvicorn")


class Worker:
    """What one process needs to answer: built once, started and stopped by the application's lifespan."""

    def __init__(self, settings: Settings, features: FeatureCache) -> None:
        self.settings = settings
        self.features = features
        self.rollout = Rollout(settings.paths, check_ms=settings.service.pointer_check_ms)
        recommender = Recommender(self.rollout, features)
        self.batcher: Batcher[PredictRequest, Recommendation] = Batcher(
            recommender.recommend,
            max_batch=settings.service.max_batch,
            max_in_flight=settings.service.max_in_flight,
        )
        self.fair_share = FairShare(settings.service.workers or cores(), self.batcher.is_busy)
        self._body_deadline = Deadline(settings.service.body_timeout_ms / 1000)
        self.answer_deadline = Deadline(ANSWER_SECONDS)
        self._takes_shortcut = False

    @property
    def is_ready(self) -> bool:
        return self.rollout.current is not None

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        telemetry.forget_dead_workers()
        self.rollout.boot()
        self.batcher.start()
        watching = (self.rollout.follow(), self._body_deadline.watch(), self.answer_deadline.watch())
        watchers = [asyncio.create_task(each, name=each.__qualname__) for each in watching]
        # Uvicorn words a line for its access log per request, also where nobody reads it; ours are the metrics.
        logging.getLogger("uvicorn.access").propagate = False
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.wait(watchers)
            await self.batcher.stop()
            await self.features.close()

    def note_shortcut(self) -> None:
        """A connection was opened on which /predict is answered before BentoML sees the request."""
        self._takes_shortcut = True

    def variant(self) -> str:
        serving = self.rollout.current
        return serving.model.variant if serving else "none"

    async def predict(self, exchange: Exchange) -> Reply:
        self.batcher.enter()  # first: the bodies of a crowd would else fill the memory
        try:
            body = await exchange.read_json(
                max_bytes=self.settings.service.max_body_bytes, deadline=self._body_deadline
            )
            found = await self.answer_deadline.wait(self.batcher.ask(parse_predict(body)))
        except Overdue:
            raise self.expired() from None
        finally:
            self.batcher.leave()
        return self.reply(found, exchange.request_id)

    def reply(self, found: Recommendation, request_id: str) -> Reply:
        serving, reason = found.serving, found.reason
        answer = Answer(request_id, found.items, serving.model, found.source, reason, reason.degraded)
        return Reply(_ENCODER.encode(answer), headers=serving.headers)

    def expired(self) -> Expired:
        return Expired(f"the answer took longer than {self.answer_deadline.seconds:g} s, the limit")

    async def status(self, exchange: Exchange) -> Reply:
        artifact = self.rollout.current.artifact
        fault = await self.features.fault()
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
            "features": {"state": fault.removeprefix("feature_cache_") if fault else "up"},
            "degraded": fault is not None,
            "workers": self.settings.service.workers or cores(),
            "shortcut": self._takes_shortcut,
            "versions": _versions(),
        }
        return Reply(msgspec.json.encode(status))

    async def index(self, exchange: Exchange) -> Reply:
        model = self.rollout.current.model
        lines = [f"Flyweight serves {model.name}:{model.variant} {model.version}.", ""]
        lines += [f"{method:4} {path}" for path, method in ROUTES.items()]
        return Reply("\n".join([*lines, ""]).encode(), TEXT)


def create_app(worker: Worker) -> Starlette:
    """The application of one worker. The last route catches every other path, to keep one error shape."""
    answers: dict[str, Callable[[Exchange], Awaitable[Reply]]] = {
        PREDICT: worker.predict,
        "/status": worker.status,
        "/metrics": _metrics,
        "/openapi.json": _openapi,
        "/": worker.index,
    }
    routes = [
        Route(path, Endpoint(path, answer, worker.variant), methods=[ROUTES[path]])
        for path, answer in answers.items()
    ]
    routes.append(Route("/{path:path}", nowhere_endpoint(worker)))
    return Starlette(routes=routes, lifespan=worker.lifespan)


def predict_endpoint(worker: Worker) -> Endpoint:
    """/predict alone, for the short way to it."""
    return Endpoint(PREDICT, worker.predict, worker.variant)


def nowhere_endpoint(worker: Worker) -> Endpoint:
    """What answers where there is nothing."""
    return Endpoint(OTHER, _refuse, worker.variant)


async def _refuse(exchange: Exchange) -> Reply:
    path, method = exchange.scope["path"], exchange.scope["method"]
    if path in ROUTES:
        raise MethodNotAllowed(f"{path} takes {ROUTES[path]}, not {method}", ROUTES[path])
    raise NotFound(f"there is nothing at this path; there is {', '.join(ROUTES)}")


async def _metrics(exchange: Exchange) -> Reply:
    return Reply(telemetry.exposition(), telemetry.CONTENT_TYPE)


async def _openapi(exchange: Exchange) -> Reply:
    return Reply(msgspec.json.encode(openapi_document()))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return found
