"""One run in one process: when it began, who asks, what came of it, and what the service says of itself."""

import gc
import http.client
import importlib.metadata
import platform
import random
import time
import urllib.request
from collections.abc import Sequence

import msgspec

from contracts.client_key import key_headers
from contracts.machine import cores, cpu_model
from contracts.slo import Objective
from loadtests.load import Load
from loadtests.tally import Tally
from loadtests.traffic import Traffic
from loadtests.visits import Mix, Replay, Visits

ANSWER_TIMEOUT_SECONDS = 5.0
"""An answer that comes later than this after it was due counts as none."""
TOO_LATE = f"not answered within {ANSWER_TIMEOUT_SECONDS:g} s"


class Session:
    """`luck` differs from process to process and from run to run: two runs are two samples."""

    def __init__(self, load: Load, traffic: Traffic, url: str, objectives: Sequence[Objective]) -> None:
        self.load, self.traffic, self.url = load, traffic, url.rstrip("/")
        self.luck = random.Random()
        self.visits = _visits(load, traffic, self.luck)
        _ = traffic.catalog  # answers are held against it: made by the first of them, ten million ids take 2 s
        self.status = _ask_status(self.url)
        self.policies = _policies(self.status)
        self._closed_at: float | None = None
        self.objectives = objectives
        self.tally = self._new_tally()
        self.started = time.monotonic()

    def start(self) -> None:
        gc.collect()
        gc.freeze()  # a collection over all that is loaded would halt the generator for some 80 ms
        self.started, self._clock, self._cpu = time.monotonic(), time.time(), time.process_time()
        self._counted_from = 0.0

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def close(self) -> None:
        """From now on nothing is due."""
        self._closed_at = self.now() if self._closed_at is None else self._closed_at

    @property
    def is_closing(self) -> bool:
        return self._closed_at is not None

    def is_over(self) -> bool:
        return self.is_closing or self.now() >= self.load.seconds

    def begin_again(self) -> None:
        """Count from here on. When the first good answer came stays known."""
        first_good = self.tally.health.first_good_seconds
        self.tally = self._new_tally()
        self.tally.health.first_good_seconds = first_good
        self._counted_from = self.now()

    def _new_tally(self) -> Tally:
        """An answer is good within the loosest bound of latency."""
        bounds = [objective.bound for objective in self.objectives if objective.percent is not None]
        return Tally(max(bounds) * 1000 if bounds else float("inf"))

    def finish(self, seconds: float) -> None:
        """No request is under way any more. `seconds`: how long they were to be due."""
        health = self.tally.health
        elapsed = self.now()
        health.seconds = elapsed - self._counted_from
        until = elapsed if self._closed_at is None else self._closed_at
        health.due_seconds = max(0.0, min(seconds, until - self._counted_from))
        health.cpu_share = (time.process_time() - self._cpu) / elapsed
        health.clock_jump_seconds = abs(time.time() - self._clock - elapsed)
        health.finished = True

    @property
    def generator(self) -> dict[str, object]:
        return {
            "machine": cpu_model(),
            "cores": cores(),
            "python": platform.python_version(),
            "locust": importlib.metadata.version("locust"),
            "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        }


def _visits(load: Load, traffic: Traffic, luck: random.Random) -> Visits | Replay:
    settings = load.settings
    if load.replay_speed:
        return Replay(traffic, settings.k)
    mix = Mix(
        known_share=settings.known_percent / 100,
        anonymous_share=settings.anonymous_percent / 100,
        zipf_exponent=settings.zipf_exponent,
        questions=settings.questions,
        think_seconds=settings.think_ms / 1000,
        k=settings.k,
    )
    return Visits(traffic, mix, luck)


def _policies(status: dict) -> dict[str, str]:
    """Model version -> the repeat policy that it answers with, as far as the service said so."""
    artifact = status.get("artifact")
    if not isinstance(artifact, dict) or "version" not in artifact:
        return {}
    return {artifact["version"]: artifact.get("repeat_policy")}


def _ask_status(url: str) -> dict:
    """What the service says of itself; empty where it says nothing that can be read."""
    try:
        request = urllib.request.Request(f"{url}/status", headers=key_headers())
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS) as response:
            return msgspec.json.decode(response.read(), type=dict)
    except (OSError, ValueError, http.client.HTTPException, msgspec.MsgspecError):
        return {}
