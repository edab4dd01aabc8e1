"""Keeps the deadline of a blocking call on the connection itself: httpx limits each reading and writing, and an
answer whose head comes byte by byte would take for ever.

Not public: that httpx (0.28) keeps its connections in `_transport._pool` and `_mounts`, and that httpcore (1.0)
opens them with `_network_backend`. Where that is otherwise, each reading is limited still, and their sum is not;
tests/flyweight/client/test_connections.py fails then.
"""

import contextlib
import math
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx


class _Now(threading.local):
    """The deadline of the call that this thread is in, of `time.monotonic`."""

    until = math.inf


_NOW = _Now()


@contextlib.contextmanager
def whole_call(until: float) -> Iterator[None]:
    """What this thread reads and writes meanwhile ends at `until`, however many pieces it comes in."""
    _NOW.until = until
    try:
        yield
    finally:
        _NOW.until = math.inf


def open_client(**options: Any) -> httpx.Client:
    client = httpx.Client(**options)
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _Backend(pool._network_backend)
    return client


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    left = _NOW.until - time.monotonic()
    if left <= 0:
        raise late("the answer comes too slowly")
    return timeout if left == math.inf else min(left, math.inf if timeout is None else timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_unix_socket(path, left, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
