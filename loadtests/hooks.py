"""Commands that are run while a test runs: a Redis that goes away, a promotion, a restart.

--at 20 "redis-cli shutdown" --at 40 "systemctl start redis"
"""

from collections.abc import Sequence

import gevent
from gevent import subprocess

from loadtests.verdict import HookRun


class Hook:
    """Waits from when it is made."""

    def __init__(self, seconds: float, command: str) -> None:
        self.run = HookRun(seconds, command, begun=False)
        self._process: subprocess.Popen | None = None
        self._waiting = gevent.spawn_later(seconds, self._begin)

    def _begin(self) -> None:
        self._process = subprocess.Popen(self.run.command, shell=True, stdin=subprocess.DEVNULL)
        self.run.begun = True

    def stop(self) -> HookRun:
        """How it ended. One that was not begun is not any more; one that still runs goes on."""
        self._waiting.kill()
        if self._process is not None:
            self.run.exit_code = self._process.poll()
        return self.run


class Hooks:
    """Those of one test; their clock is the test's."""

    def __init__(self, asked: Sequence[tuple[float, str]]) -> None:
        self._asked = asked
        self._hooks: list[Hook] | None = None

    def start(self) -> None:
        """The test begins. Of several generator processes the first one counts."""
        if self._hooks is None:
            self._hooks = [Hook(seconds, command) for seconds, command in self._asked]

    def stop(self) -> list[HookRun]:
        """All that were asked for, also those whose moment never came."""
        if self._hooks is None:
            return [HookRun(seconds, command, begun=False) for seconds, command in self._asked]
        return [hook.stop() for hook in self._hooks]
