"""The bare peer: this project's batching and model behind uvicorn, with nothing of a service around them.

No request id, metrics per request, limits or error shapes: what remains of `service` is the price of those.
Stages are still counted inside the recommender, in memory instead of shared files.
"""

import msgspec

from contracts.settings import read_settings
from service.batching import Batcher
from service.feature_cache import RedisFeatureCache
from service.prediction import Answer, parse_predict
from service.recommender import Recommender
from service.rollout import Rollout

_HEADERS = [(b"content-type", b"application/json")]


class BareApp:
    """An ASGI application that answers every request as POST /predict."""

    def __init__(self) -> None:
        settings = read_settings()
        limits = settings.service
        self._features = RedisFeatureCache(settings.features.redis_url, timeout_ms=settings.features.timeout_ms)
        self._rollout = Rollout(settings.paths, check_ms=limits.pointer_check_ms)
        recommend = Recommender(self._rollout, self._features).recommend
        self._batcher = Batcher(recommend, max_batch=limits.max_batch, max_in_flight=limits.max_in_flight)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        found = await self._batcher.ask(parse_predict(await _body(receive)))
        model = found.serving.model
        answer = Answer("", found.items, model, found.source, found.reason, found.reason.degraded)
        body = msgspec.json.encode(answer)
        headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive, send) -> None:
        await receive()
        self._rollout.boot()
        self._batcher.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._batcher.stop()
        await self._features.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def create_app() -> BareApp:
    """The application of one worker."""
    return BareApp()
