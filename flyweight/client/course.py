"""The course of one call: what is sent, how often, and when to give up. Pure, and so the same for both clients.

It is a generator that asks for one step at a time. An `Attempt` is answered with what was `Heard`, or with the
`NoAnswer` that came of it; a `Pause` with nothing. It returns the call's result, or raises.
"""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from flyweight.client.calls import Call, Heard, Result, error_of
from flyweight.client.errors import DeadlinePassed, FlyweightError, NoAnswer


@dataclass(frozen=True)
class Retries:
    """At most `attempts` in all. The pause before the n-th retry is drawn from 0 to `first_ms` * 2^(n-1), at most
    `longest_ms`, so that a crowd does not come back as one; what Retry-After says comes on top."""

    attempts: int = 4
    first_ms: float = 50.0
    longest_ms: float = 1000.0

    def longest_pause_s(self, attempt: int) -> float:
        return float(min(self.first_ms * 2 ** (attempt - 1), self.longest_ms)) / 1000


@dataclass(frozen=True)
class Attempt:
    """Has `seconds`, from now to the end of its answer."""

    call: Call[Any]
    headers: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Pause:
    seconds: float


Course = Generator[Attempt | Pause, Heard | NoAnswer | None, Result]


def course_of(
    call: Call[Result],
    deadline_ms: float,
    retries: Retries,
    *,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[float, float], float] = random.uniform,
) -> Course[Result]:
    """The deadline holds for all attempts and pauses together. Where a pause would outlast it, the error is raised
    at once: waiting for nothing helps nobody."""
    until = clock() + deadline_ms / 1000
    before: FlyweightError | None = None
    attempt = 0
    while True:
        attempt += 1
        left_s = until - clock()
        found = (yield Attempt(call, call.headers(left_s), left_s)) if left_s > 0 else DeadlinePassed("")
        if isinstance(found, DeadlinePassed):
            problem = f"no answer to {call.method} {call.path} within {deadline_ms:g} ms"
            raise DeadlinePassed(problem, request_id=call.request_id) from before
        if isinstance(found, Heard) and found.status in call.answers:
            return call.read(found)
        assert found is not None  # only a pause is answered with nothing
        error = error_of(found, call.request_id) if isinstance(found, Heard) else found
        error.request_id = error.request_id or call.request_id
        pause_s = (error.retry_after_s or 0.0) + draw(0.0, retries.longest_pause_s(attempt))
        if not error.is_worth_retrying or attempt >= retries.attempts or clock() + pause_s >= until:
            raise error
        yield Pause(pause_s)
        before = error
