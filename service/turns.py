"""One worker after the other does what holds up its answers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from contracts import durable

_FILE = "index.lock"
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 120.0
"""Some dozens of workers each take a few seconds."""

_LOG = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def turn(state: Path) -> AsyncIterator[None]:
    """Wait until no other worker with the folder `state` has its turn, and have it.

    It is a courtesy: where the lock cannot be had, or not in two minutes, the log says so and it goes on without.
    """
    with contextlib.ExitStack() as held:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not _has_taken(state / _FILE, held):
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            _LOG.warning("another worker has held %s for %g s; not waiting on", state / _FILE, _PATIENCE_SECONDS)
        except OSError as error:
            _LOG.warning("not waiting for other workers: %s", error)
        yield


def _has_taken(path: Path, held: contextlib.ExitStack) -> bool:
    try:
        held.enter_context(durable.lock(path, wait=False))
    except BlockingIOError:
        return False
    return True
