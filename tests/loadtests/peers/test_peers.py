"""The peers answer as the service does: same items, same scores, same words, from the same artifact and Redis."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from starlette.testclient import TestClient

from contracts.settings import read_settings
from loadtests.peers import bare_asgi, fastapi_service
from loadtests.peers.contenders import running
from loadtests.peers.world import World
from service.feature_cache import RedisFeatureCache
from service.prediction import Answer, PredictRequest
from service.recommender import Recommender
from service.rollout import Rollout

QUESTIONS = [("u00000", 10), ("u00007", 3), ("u09999", 10), ("nobody", 5), ("u00001", 60)]


BAD_QUESTIONS = [{"k": 10}, {"user_id": "", "k": 10}, {"user_id": "u1", "k": 501}]
IN_PROCESS = {"fastapi": fastapi_service.create_app, "bare-asgi": bare_asgi.create_app}


@contextmanager
def client_of(peer: str, world: World, folder: Path) -> Iterator[httpx.Client]:
    """BentoML's metrics take a process for themselves, so its peer is started as the bench starts it."""
    if peer in IN_PROCESS:
        with TestClient(IN_PROCESS[peer]()) as client:
            yield client
    else:
        with running(peer, world, folder) as contender, httpx.Client(base_url=contender.url) as client:
            yield client


async def answers_of_the_service(questions: list[tuple[str, int]]) -> list[dict]:
    settings = read_settings()
    rollout = Rollout(settings.paths, check_ms=1000)
    rollout.boot()
    features = RedisFeatureCache(settings.features.redis_url, timeout_ms=1000)
    recommend = Recommender(rollout, features).recommend
    found = [(await recommend([PredictRequest(user_id=user, k=k)]))[0] for user, k in questions]
    await features.close()
    return [
        msgspec.to_builtins(Answer("", f.items, f.serving.model, f.source, f.reason, f.reason.degraded))
        for f in found
    ]


@pytest.mark.parametrize("peer", ["fastapi", "plain-bentoml", "bare-asgi"])
def test_peer_answers_as_the_service_does(told, tmp_path, peer):
    expected = asyncio.run(answers_of_the_service(QUESTIONS))
    with client_of(peer, told, tmp_path) as client:
        found = [client.post("/predict", json={"user_id": user, "k": k}) for user, k in QUESTIONS]
        if peer != "bare-asgi":
            refused = [client.post("/predict", json=body).status_code for body in BAD_QUESTIONS]
            assert set(refused) <= {400, 422}
    for response, answer in zip(found, expected, strict=True):
        assert response.status_code == 200, response.text
        got = response.json()
        assert [item["item_id"] for item in got["items"]] == [item["item_id"] for item in answer["items"]]
        assert [i["score"] for i in got["items"]] == pytest.approx([i["score"] for i in answer["items"]], rel=1e-5)
        for field in ("model", "source", "reason", "degraded"):
            assert got[field] == answer[field]
    assert [answer["source"] for answer in expected].count("popular") == 1
