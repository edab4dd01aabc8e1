"""Commands that are run while a test runs: a Redis that goes away, a promotion, a restart.

--at 20 "redis-cli shutdown" --at 40 "systemctl start redis"
"""

from collections.abc import Sequence

import gevent
from gevent import subprocess

from loadtests.verdict import HookRun


class Hook:
    def __init__(self, seconds: float, command: str) -> None:
        self.run = HookRun(seconds, command)
        self._process: subprocess.Popen | None = None
        self._waiting = gevent.spawn_later(seconds, self._begin)

    def _begin(self) -> None:
        self._process = subprocess.Popen(self.run.command, shell=True, stdin=subprocess.DEVNULL)

    def stop(self) -> HookRun | None:
        """How it ended; None for one that was not begun, and is not any more. One that still runs goes on."""
        self._waiting.kill()
        if self._process is None:
            return None
        self.run.exit_code = self._process.poll()
        return self.run


def start(asked: Sequence[tuple[float, str]]) -> list[Hook]:
    return [Hook(seconds, command) for seconds, command in asked]


def stop(hooks: Sequence[Hook]) -> list[HookRun]:
    """Those that were begun."""
    return [run for hook in hooks if (run := hook.stop())]
