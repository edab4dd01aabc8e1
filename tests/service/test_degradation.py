"""Every fault has one answer, for every kind of asker, on both ways: with a real Redis and real faults."""

import asyncio
import dataclasses
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from contracts.artifact import Artifact
from contracts.sections import Paths, Settings
from service.app import create_app
from service.embedded_redis import embedded_redis
from service.feature_cache import RedisFeatureCache
from service.redis_clients import connect
from service.worker import Worker
from tests.service.faulty_world import ASKERS, Redis, World, plant, until, until_open, world
from tests.service.in_process import LAST, no_redis, post, served

OK, COLD = ("model", "ok", False), ("popular", "cold_user", False)


def bridged(reason: str) -> tuple[str, str, bool]:
    return "popular", reason, True


def without_features(reason: str) -> list[tuple]:
    """An anonymous history still gets the model, and an empty one is no fault."""
    return [bridged(reason), bridged(reason), OK, COLD]


WELL = [OK, COLD, OK, COLD]
FAULTS: dict[str, list[tuple]] = {
    "none": WELL,
    "refused": without_features("feature_cache_down"),
    "hung": without_features("feature_cache_timeout"),
    "slow": without_features("feature_cache_timeout"),
    "flushed": without_features("feature_cache_empty"),
    "another version": without_features("feature_cache_empty"),
    "unreadable history": [bridged("feature_cache_empty"), COLD, OK, COLD],
    "model fails": [bridged("model_unavailable"), COLD, bridged("model_unavailable"), COLD],
    "deadline near": [bridged("deadline"), bridged("deadline"), bridged("deadline"), COLD],
}
"""What known, cold, anonymous and empty askers get."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with embedded_redis(tmp_path_factory.mktemp("redis")) as url:
        with connect(url) as client:
            pid = client.info("server")["process_id"]
        yield Redis(url, pid)


class SlowPredictor:
    """Takes 4 ms for each request of a batch."""

    def __init__(self, predictor) -> None:
        self._predictor = predictor
        self.max_history, self.room = predictor.max_history, predictor.room

    def predict(self, history: np.ndarray, excluded: np.ndarray, k: int) -> tuple:
        time.sleep(0.004 * len(history))
        return self._predictor.predict(history, excluded, k)


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "public way"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_one_answer_for_every_asker(
    tmp_path: Path, promoted: Artifact, redis: Redis, monkeypatch, fault: str, lane: bool
) -> None:
    monkeypatch.setattr("service.pace.LATELY_SECONDS", 3600.0)

    async def scenario() -> None:
        async with world(tmp_path, redis, lane=lane) as one:
            headers = await plant(fault, one)
            for _ in range(3):  # the third time, the breaker is open where there is cause
                for asker, (source, reason, degraded) in zip(ASKERS, FAULTS[fault], strict=True):
                    status, answer = await one.ask(asker, *headers)
                    assert (status, answer["source"], answer["reason"], answer["degraded"]) == (
                        200, source, reason, degraded
                    ), asker  # fmt: skip
                    assert len({item["item_id"] for item in answer["items"]}) == 3

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("fault", ["refused", "hung"])
def test_return_of_redis_is_noticed_within_half_a_second(
    tmp_path: Path, promoted: Artifact, redis: Redis, fault: str
) -> None:
    """The median of five: one halt of the machine is no fault of the breaker."""

    async def once(one: World) -> float:
        await plant(fault, one)
        await until_open(one)
        if fault == "hung":
            redis.go_on()
        else:
            await one.proxy.listen()
        back = time.monotonic()
        await until(one.reason, "ok")
        return time.monotonic() - back

    async def scenario() -> list[float]:
        async with world(tmp_path, redis) as one:
            return [await once(one) for _ in range(5)]

    assert statistics.median(asyncio.run(asyncio.wait_for(scenario(), 120))) < 0.5


def test_no_request_asks_a_redis_that_is_away(
    tmp_path: Path, promoted: Artifact, redis: Redis, monkeypatch
) -> None:
    monkeypatch.setattr("service.breaker.PROBE_SECONDS", (60.0, 60.0))

    async def scenario() -> int:
        async with world(tmp_path, redis) as one:
            await plant("hung", one)
            breaker = one.opened.worker.breaker
            await until_open(one)
            before = one.proxy.connections
            began = time.perf_counter()
            for _ in range(1000):
                await breaker.read(["u1"])
            assert time.perf_counter() - began < 0.5  # three readings of this Redis would take longer
            assert {await one.reason() for _ in range(20)} == {"feature_cache_timeout"}
            return one.proxy.connections - before

    assert asyncio.run(asyncio.wait_for(scenario(), 60)) == 0


def test_status_and_metrics_say_that_it_is_degraded(tmp_path: Path, promoted: Artifact, redis: Redis) -> None:
    async def scenario() -> None:
        async with world(tmp_path, redis) as one:

            async def page(path: bytes) -> bytes:
                return await one.opened.exchange(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path, LAST)

            assert b'"features":{"state":"up","breaker":"closed"},"degraded":false' in await page(b"/status")
            assert b"flyweight_feature_cache_open 0.0" in await page(b"/metrics")
            await plant("refused", one)
            await until_open(one)
            assert b'"features":{"state":"down","breaker":"open"},"degraded":true' in await page(b"/status")
            found = await page(b"/metrics")
            assert b"flyweight_feature_cache_open 1.0" in found
            assert b'flyweight_fallbacks_total{reason="feature_cache_down"}' in found
            assert one.opened.worker.is_ready

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_worker_starts_and_is_ready_without_redis(tmp_path: Path, promoted: Artifact) -> None:
    paths = Paths(artifacts=tmp_path / "artifacts", bundle=tmp_path / "bundle")
    worker = Worker(
        Settings(paths=paths), RedisFeatureCache(f"unix://{tmp_path}/none.sock", timeout_ms=50), no_redis()
    )
    with TestClient(create_app(worker)) as client:
        assert worker.is_ready
        answer = client.post("/predict", json={"user_id": "u1"}).json()
    assert (answer["reason"], len(answer["items"])) == ("feature_cache_down", 8)


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "public way"])
def test_a_crowd_before_a_slow_model_is_refused_but_for_whom_there_is_time(
    tmp_path: Path, promoted: Artifact, lane: bool
) -> None:
    async def scenario() -> None:
        async with served(tmp_path, lane=lane, deadline_ms=100) as opened:
            rollout = opened.worker.rollout
            slow = SlowPredictor(rollout.current.predictor)
            rollout.current = dataclasses.replace(rollout.current, predictor=slow)
            for _ in range(8):
                assert (await opened.exchange(post(ASKERS["anonymous"]), LAST)).startswith(b"HTTP/1.1 200")
            crowd = [opened.exchange(post(ASKERS["anonymous"]), LAST) for _ in range(200)]
            found = await asyncio.gather(*crowd)
            refused = [each for each in found if each.startswith(b"HTTP/1.1 429")]
            answered = [each for each in found if each.startswith(b"HTTP/1.1 200")]
            assert len(refused) + len(answered) == 200
            assert len(answered) >= 2 and len(refused) > 50
            assert all(b"retry-after: 1\r\n" in each and b'"overloaded"' in each for each in refused)
            assert not opened.worker.batcher.is_busy()
            assert (await opened.exchange(post(ASKERS["anonymous"]), LAST)).startswith(b"HTTP/1.1 200")

    asyncio.run(asyncio.wait_for(scenario(), 60))
