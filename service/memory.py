"""What this process holds of the machine's memory, for the metrics."""

import asyncio
import contextlib
import ctypes
import random
import re
from pathlib import Path

from service import telemetry

_PAUSE_SECONDS = (8.0, 12.0)
_SIZES = re.compile(r"^(Rss|Pss): +(\d+) kB$", re.MULTILINE)


def own_memory() -> dict[str, int]:
    """Bytes: rss, all that is mapped and in memory; pss, where what n processes share counts an nth. Empty where
    the system does not say. It walks over every page: some milliseconds for a large process."""
    try:
        found = _SIZES.findall(Path("/proc/self/smaps_rollup").read_text())
    except OSError:
        return {}
    return {kind.lower(): int(kilobytes) * 1024 for kind, kilobytes in found}


def give_back() -> None:
    """What was freed goes back to the system, where its C library can do that. It takes some milliseconds, in
    which no thread gets memory: for processes that answer nobody."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


async def follow_memory() -> None:
    """Look for ever, beside the event loop: the system walks without holding it up."""
    while True:
        for kind, size_bytes in (await asyncio.to_thread(own_memory)).items():
            telemetry.show_memory(kind, size_bytes)
        await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
