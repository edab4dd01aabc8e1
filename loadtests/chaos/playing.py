"""One row after the other, each with a Redis and a service of its own."""

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from loadtests.chaos.evidence import Outcome, Window, examine
from loadtests.chaos.proxy import Proxy
from loadtests.chaos.redis_server import RedisServer
from loadtests.chaos.rows import Row
from loadtests.chaos.site import Site
from loadtests.chaos.standing_service import StandingService
from loadtests.chaos.streams import event_ids, logged_ids
from loadtests.chaos.world import World
from loadtests.steady_load import Pressure, SteadyLoad
from loadtests.waiting import sleep_until


def play(row: Row, world: World, folder: Path, *, rate: float, events_rate: float) -> Outcome:
    """Start all, load it, let the fault happen, look what is left. `folder` must be new. Raises `Fault`."""
    world.copy_artifacts(folder / "artifacts")
    world.fill(folder / "redis")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis", **row.redis))
        proxy = stack.enter_context(Proxy(redis.port)) if row.slowly else None
        with redis.client() as client:
            for name, value in row.switched.items():
                client.config_set(name, value)
        url = proxy.url if proxy else redis.url
        service = stack.enter_context(
            StandingService(folder / "service", folder / "artifacts", url, row.settings, row.without)
        )
        pressure = Pressure(rate, events_rate, row.seconds, row.retries)
        load = stack.enter_context(SteadyLoad(service.url, world.traffic, pressure, folder / "load"))
        began = load.await_begin()
        sleep_until(began + row.before)
        begin = time.monotonic()
        with row.fault(Site(world, redis, proxy, service, folder / "events")) as proof:
            time.sleep(row.lasts)
        window = Window(round(begin - began, 3), round(time.monotonic() - began, 3))
        verdict = load.wait()
        with redis.client() as client:
            recorded = event_ids(client) + Counter(logged_ids(folder / "events"))
        return examine(
            load.requests(), verdict, load.accepted(), recorded, window, proof, row.limits,
            row=row.name, what=row.what, control_of=row.control_of, breaks=row.breaks,
        )  # fmt: skip
