"""Whoever ends a verb ends what it has started: a load that nobody waits for must not go on."""

import contextlib
import signal
from collections.abc import Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP do what Ctrl-C does. One that is ignored stays ignored: `nohup` is meant so."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number, action in before.items() if action == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
