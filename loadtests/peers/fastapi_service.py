"""The FastAPI peer: what a good engineer writes by hand, for uvicorn with two workers, uvloop and httptools.

Tried side by side with one connection and both models: a thread pool for the prediction costs 2 to 30 % more CPU
per request than predicting in the event loop, and FastAPI's own serialisation of the returned model 2 to 12 %
more than pydantic's `model_dump_json` in a response of its own. So neither is used.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict

from loadtests.peers.plain_model import Answer, HowMany, UserId, connect_redis, open_model
from service.feature_cache import key_of


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user_id: UserId
    k: HowMany = 10


def create_app() -> FastAPI:
    """The application of one worker; the model and Redis are opened in its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.model = open_model()
        gc.collect()
        gc.freeze()  # else the collector walks over all that is loaded now and then: p99 45 ms for 5
        async with connect_redis() as app.state.redis:
            yield

    app = FastAPI(title="Recommendations", lifespan=lifespan)

    @app.post("/predict", response_model=Answer)
    async def predict(question: Question) -> Response:
        stored = await app.state.redis.get(key_of(question.user_id))
        answer = app.state.model.recommend(stored, question.k)
        return Response(answer.model_dump_json(), media_type="application/json")

    return app
