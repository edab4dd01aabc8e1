"""What is trending, counted by several workers in a real Redis."""

import asyncio

import pytest
from redis.exceptions import RedisError

from service.redis_clients import connect, connect_async
from service.trending import Trending

HOUR_SECONDS = 3600


class Workers:
    """Some workers on one Redis and one clock."""

    def __init__(self, url: str, *, cluster: bool) -> None:
        with connect(url, cluster=cluster) as redis:
            redis.flushall()
        self.url, self.cluster = url, cluster
        self.now = 1_800_000_000.0

    def play(self, story) -> None:
        async def run() -> None:
            clients = [connect_async(self.url, cluster=self.cluster, timeout_ms=2000) for _ in range(2)]
            await story(*(Trending(c, minutes=60, least=10, clock=lambda: self.now) for c in clients))
            for client in clients:
                await client.aclose()

        asyncio.run(run())


@pytest.fixture(params=["one server", "cluster"])
def workers(request, redis_url, cluster_url) -> Workers:
    return (
        Workers(redis_url, cluster=False) if request.param == "one server" else Workers(cluster_url, cluster=True)
    )


def test_what_one_worker_counts_another_sees(workers):
    async def story(one: Trending, other: Trending) -> None:
        one.count(7, 6.0)
        other.count(9, 5.0)
        await one.exchange()
        await other.exchange()
        assert other.numbers.tolist() == [7, 9]
        await one.exchange()
        assert one.numbers.tolist() == [7, 9]

    workers.play(story)


def test_below_the_least_nothing_is_trending(workers):
    async def story(one: Trending, other: Trending) -> None:
        one.count(7, 9.9)
        await one.exchange()
        assert one.numbers.tolist() == []

    workers.play(story)


def test_what_is_new_overtakes_what_is_old_and_that_is_forgotten(workers):
    async def story(one: Trending, other: Trending) -> None:
        one.count(1, 20.0)
        await one.exchange()
        assert one.numbers.tolist() == [1]
        workers.now += HOUR_SECONDS / 2
        one.count(2, 15.0)
        await one.exchange()
        assert one.numbers.tolist() == [2, 1]  # 20 counts half by now
        workers.now += HOUR_SECONDS * 0.75
        await one.exchange()
        assert one.numbers.tolist() == [2]
        workers.now += HOUR_SECONDS
        await one.exchange()
        assert one.numbers.tolist() == []

    workers.play(story)


def test_counts_that_could_not_be_written_are_written_later(tmp_path, start_redis):
    server = start_redis(tmp_path)

    async def story() -> list[int]:
        client = connect_async(server.url, timeout_ms=500)
        trending = Trending(client, minutes=60, least=1)
        trending.count(7, 2.0)
        server.stop()
        with pytest.raises(RedisError):
            await trending.exchange()
        start_redis(tmp_path, port=server.port)
        await trending.exchange()
        await client.aclose()
        return trending.numbers.tolist()

    assert asyncio.run(story()) == [7]
