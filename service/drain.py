"""From SIGTERM to the end of a worker, without a client noticing.

1. /readyz says 503, and every answer says `connection: close`. New connections are still taken: whoever routes
   to us needs a moment (`[service] drain-seconds`) to see that it should not.
2. Newcomers are held off, who is in the listening socket's queue is taken still, idle connections are closed.
3. uvicorn stops, as it would have at once: what is under way is finished.

Not public: that uvicorn's handler of SIGTERM is a method of its `Server` (0.54). Where it is not, nothing is taken
over, and the worker stops as uvicorn stops. tests/service/test_drain.py fails when that changes.
"""

import asyncio
import logging
import os
import select
import signal
from time import monotonic
from types import FrameType
from typing import Any

import uvicorn

from service.listening import hold_off_newcomers, waiting_in

_HANDSHAKE_SECONDS = 0.2
"""Who has begun to connect when newcomers are held off is connected by then."""

_LAST_SECONDS = 1.0
"""How long a connection may stay silent that was opened just before."""

_LOOK_SECONDS = 0.01
_LOG = logging.getLogger(__name__)


class Drain:
    """The end of one worker. `is_on`: it has begun."""

    def __init__(self, seconds: float) -> None:
        self.is_on = False
        self._seconds = seconds
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task | None = None
        self._parent = 0

    def take_over(self) -> None:
        """From now on SIGTERM drains first. Called in the lifespan, when uvicorn has set its own handler."""
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if isinstance(server, uvicorn.Server):
            self._server, self._loop, self._parent = server, asyncio.get_running_loop(), os.getppid()
            signal.signal(signal.SIGTERM, self._begin)

    def _begin(self, number: int, frame: FrameType | None) -> None:
        """Once; a second signal ends the wait. Without a parent too: its successor waits for our port."""
        if self.is_on or os.getppid() != self._parent:
            self._server.handle_exit(number, frame)
        else:
            self._loop.call_soon_threadsafe(self._start)
        self.is_on = True

    def _start(self) -> None:
        self._task = self._loop.create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        try:
            _LOG.info("draining: new connections are taken for %g s more", self._seconds)
            await asyncio.sleep(self._seconds)
            if busy := await _empty(self._server):
                _LOG.warning("the drain is slow: %d connections still wait for an answer or send", busy)
        finally:
            self._server.handle_exit(signal.SIGTERM, None)


async def _empty(server: uvicorn.Server) -> int:
    """Return when nobody is connected or about to be, and at the latest after the moments above, with how many are
    connected still and not idle."""
    listening = [each.fileno() for one in server.servers for each in one.sockets]
    for descriptor in listening:
        hold_off_newcomers(descriptor)
    began = monotonic()
    while (passed := monotonic() - began) < _LAST_SECONDS:
        busy = _close_idle(server.server_state.connections)
        if not busy and passed > _HANDSHAKE_SECONDS and not any(map(waiting_in, listening)):
            return 0
        await asyncio.sleep(_LOOK_SECONDS)
    return busy


def _close_idle(connections: set[Any]) -> int:
    """Close who had an answer and has sent nothing since; return how many other connections are left.

    uvicorn's own stop would close them all the same, but also those whose next request lies in our buffer.
    """
    busy = [each for each in connections if not _is_idle(each)]
    for each in connections.difference(busy):
        each.transport.close()
    return len(busy)


def _is_idle(connection: Any) -> bool:
    """uvicorn's timer for idle connections runs from an answer to the first byte of the next request."""
    if connection.timeout_keep_alive_task is None or connection.transport.is_closing():
        return False
    if getattr(connection, "awaits_rest", False):  # our protocol's timer also runs while a head is received
        return False
    look = select.poll()
    look.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not look.poll(0)
