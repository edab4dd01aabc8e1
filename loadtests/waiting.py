"""Waiting for what should become so, and ports that are free."""

import socket
import time
from collections.abc import Callable

_POLL_SECONDS = 0.02


def await_that(is_so: Callable[[], object], seconds: float) -> bool:
    """Whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def sleep_until(moment: float) -> None:
    """`moment` by `time.monotonic`."""
    time.sleep(max(0.0, moment - time.monotonic()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
