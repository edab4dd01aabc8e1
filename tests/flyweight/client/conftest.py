"""Both clients asked in the same words, and a real service with keys to ask."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from contracts.pointer import move_pointer
from flyweight.client import AsyncClient, Client
from service.api_keys import hash_of, new_key
from service.embedded_redis import running
from service.filling import History, write_histories
from service.redis_clients import connect
from tests.service.conftest import seal_tiny
from tests.service.real_server import OURS, Server, launch


class Both:
    """One of the two clients, called as the other is: `ask.predict("u1")`."""

    def __init__(self, client: Client | AsyncClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable:
        method = getattr(self._client, name)
        if isinstance(self._client, Client):
            return method

        async def called(*arguments: object, **options: object) -> object:
            return await method(*arguments, **options)

        return lambda *arguments, **options: self._runner.run(called(*arguments, **options))


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "asyncio"])
def both(request: pytest.FixtureRequest) -> Iterator[Callable[..., Both]]:
    """`both(url, **options)`: a client."""
    opened = []
    with asyncio.Runner() as runner:

        def make(url: str, **options: object) -> Both:
            opened.append(Both(request.param(url, **options), runner))
            return opened[-1]

        yield make
        for each in opened:
            each.close() if request.param is Client else each.aclose()


@dataclass(frozen=True)
class Keyed:
    """A real service that asks for keys and knows the user u1, who saw i0."""

    server: Server
    api_key: str
    admin_key: str

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    root = tmp_path_factory.mktemp("keyed")
    move_pointer(root / "artifacts", seal_tiny(root / "artifacts").path)
    api, admin = new_key(), new_key()
    server = launch(
        OURS,
        root,
        FLYWEIGHT_SERVICE_API_KEYS=json.dumps([hash_of(api)]),
        FLYWEIGHT_SERVICE_ADMIN_KEYS=json.dumps([hash_of(admin)]),
        FLYWEIGHT_SERVICE_WORKERS="1",
    )
    with connect(running(root / "state")) as redis:
        write_histories(redis, [History("u1", np.array([10]), np.array([0]))], longest=100, ttl_seconds=600)
    yield Keyed(server, api, admin)
    for process in server.family():
        process.send_signal(signal.SIGKILL)
