"""When a call is tried again, how long it waits and when it gives up, on a clock of our own."""

from dataclasses import dataclass, field

import pytest

from flyweight.client import (
    Answer,
    ConnectionLost,
    DeadlinePassed,
    FlyweightError,
    Overloaded,
    Retries,
    Unavailable,
    Unreachable,
    calls,
)
from flyweight.client.calls import Heard
from flyweight.client.course import Pause, course_of
from tests.flyweight.client.stub_service import ANSWER, GOOD, answer, error


def heard(raw: bytes) -> Heard:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return Heard(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body)


@dataclass
class Walk:
    """A course walked to its end: each attempt takes `seconds` and finds the next of `found`."""

    deadline_ms: float = 1000
    seconds: float = 0.01
    retries: Retries = Retries()  # noqa: RUF009  (frozen)
    now: float = 100.0
    attempts: list[dict] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def through(self, *found: object) -> Answer:
        call = calls.predict("u1", None, 3, None, None, "mine")
        course = course_of(
            call, self.deadline_ms, self.retries, clock=lambda: self.now, draw=lambda low, high: high
        )
        left = list(found)
        step = next(course)
        while True:
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
                step = course.send(None)
                continue
            self.attempts.append(step.headers)
            self.now += min(self.seconds, step.seconds)
            try:
                step = course.send(left.pop(0))
            except StopIteration as ended:
                return ended.value


OK = heard(GOOD)


def test_good_answer_ends_it_at_once() -> None:
    walk = Walk()
    assert walk.through(OK).item_ids == ["i1"]
    assert (len(walk.attempts), walk.pauses) == (1, [])


@pytest.mark.parametrize(
    "first",
    [heard(error(429, "overloaded")), heard(error(503, "stopping")), Unreachable("x"), ConnectionLost("x")],
)
def test_what_may_pass_is_tried_again_under_the_same_id(first: object) -> None:
    walk = Walk()
    assert walk.through(first, OK).items[0].score == 0.5
    assert [headers["x-request-id"] for headers in walk.attempts] == ["mine", "mine"]


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 405, 408, 413, 415, 431, 500, 502, 504])
def test_what_would_fail_again_is_not_tried_again(status: int) -> None:
    walk = Walk()
    with pytest.raises(FlyweightError) as caught:
        walk.through(heard(error(status, "said")))
    assert (caught.value.status, caught.value.code, len(walk.attempts)) == (status, "said", 1)


def test_pauses_grow_up_to_the_longest_and_attempts_end() -> None:
    walk = Walk(deadline_ms=60_000, retries=Retries(attempts=6, first_ms=100, longest_ms=400))
    with pytest.raises(Unreachable):
        walk.through(*[Unreachable("x") for _ in range(6)])
    assert walk.pauses == [0.1, 0.2, 0.4, 0.4, 0.4]


def test_pause_is_drawn_from_nothing_to_the_longest() -> None:
    drawn = []
    course = course_of(
        calls.status(), 1000, Retries(first_ms=80), draw=lambda low, high: drawn.append((low, high)) or 0.03
    )
    next(course)
    assert course.send(Unreachable("x")) == Pause(0.03)
    assert drawn == [(0.0, 0.08)]


def test_retry_after_is_waited_for_and_the_drawn_pause_comes_on_top() -> None:
    walk = Walk(deadline_ms=5000, retries=Retries(first_ms=50))
    walk.through(heard(error(429, "overloaded", "retry-after: 1")), OK)
    assert walk.pauses == [1.05]


ABSURD = "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"


@pytest.mark.parametrize("given", ["Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-1", "1e9", "²", ABSURD])
def test_retry_after_that_is_over_or_no_time_adds_nothing(given: str) -> None:
    walk = Walk()
    walk.through(heard(error(503, "stopping", f"retry-after: {given}")), OK)
    assert walk.pauses == [0.05]


def test_pause_that_would_outlast_the_deadline_is_not_begun() -> None:
    walk = Walk(deadline_ms=900)
    with pytest.raises(Overloaded) as caught:
        walk.through(heard(error(429, "overloaded", "retry-after: 1")))
    assert (caught.value.retry_after_s, walk.pauses) == (1.0, [])


def test_each_attempt_tells_the_service_what_is_left_less_the_way() -> None:
    walk = Walk(deadline_ms=1000, seconds=0.25, retries=Retries(first_ms=100))
    walk.through(Unreachable("x"), Unreachable("x"), OK)
    assert [headers["x-deadline-ms"] for headers in walk.attempts] == ["995", "645", "195"]


def test_deadline_too_short_for_the_way_is_still_a_number_that_the_service_takes() -> None:
    walk = Walk(deadline_ms=2, seconds=0)
    walk.through(OK)
    assert walk.attempts[0]["x-deadline-ms"] == "1"


def test_deadline_that_passes_in_an_attempt_ends_it_and_says_what_went_before() -> None:
    with pytest.raises(DeadlinePassed, match="POST /predict within 1000 ms") as caught:
        Walk().through(heard(error(503, "stopping")), DeadlinePassed("x"))
    assert isinstance(caught.value.__cause__, Unavailable)
    assert caught.value.request_id == "mine"


def test_deadline_of_nothing_sends_nothing() -> None:
    walk = Walk(deadline_ms=0)
    with pytest.raises(DeadlinePassed):
        walk.through()
    assert walk.attempts == []


def test_answer_of_a_newer_service_is_read() -> None:
    newer = {**ANSWER, "reason": "reason of tomorrow", "more": [1]}
    assert Walk().through(heard(answer(200, newer))).reason == "reason of tomorrow"
