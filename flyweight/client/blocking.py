"""The client that blocks."""

import time
from collections.abc import Sequence
from typing import Self

import httpx

from flyweight.client import calls
from flyweight.client.calls import Heard, Result, Seen
from flyweight.client.course import Attempt, Course, Pause
from flyweight.client.errors import NoAnswer
from flyweight.client.messages import Answer, Event, Forgetting, Recorded, Status
from flyweight.client.shared import ONCE, Asking, no_answer
from flyweight.client.wire import open_client, whole_call


class Client(Asking):
    """Asks a service; threads may share it. Close it, or use it in a `with`.

    Every call raises `FlyweightError`, of the kinds that errors.py tells apart.
    """

    _open = staticmethod(open_client)
    _http: httpx.Client
    _sleep = staticmethod(time.sleep)

    def predict(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str] | None = None,
        k: int | None = None,
        exclude: Sequence[str] | None = None,
        seen: Seen | None = None,
        deadline_ms: float | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """The best items for a user, or for a history of item ids, newest last, which wins when both are given.

        The service knows the deadline too, and gives a simpler answer in time rather than a better one too late.
        """
        call = calls.predict(user_id, history, k, exclude, seen, request_id)
        return self._run(self._course(call, deadline_ms))

    def record(
        self, events: Sequence[Event], *, deadline_ms: float | None = None, request_id: str | None = None
    ) -> Recorded:
        """Events are a part of their user's very next answer. What is wrong with single ones stands in `rejected`.

        After an error, the same `Event`s may be recorded again: each counts once.
        """
        return self._run(self._course(calls.record(events, request_id), deadline_ms))

    def forget(
        self, user_id: str, *, deadline_ms: float | None = None, request_id: str | None = None
    ) -> Forgetting:
        """A user's history goes at once, the events with the next `flyweight ingest`."""
        return self._run(self._course(calls.forget(user_id, request_id), deadline_ms))

    def status(self, *, deadline_ms: float | None = None) -> Status:
        return self._run(self._course(calls.status(), deadline_ms))

    def ready(self, *, deadline_ms: float | None = None) -> bool:
        """Whether to send requests there; not tried twice, for whoever asks this asks again. Raises `NoAnswer`."""
        return self._run(self._course(calls.ready(), deadline_ms, ONCE))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, course: Course[Result]) -> Result:
        step = next(course)
        while True:
            found = self._take(step)
            try:
                step = course.send(found)
            except StopIteration as ended:
                result: Result = ended.value
                return result

    def _take(self, step: Attempt | Pause) -> Heard | NoAnswer | None:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        until = time.monotonic() + step.seconds
        sent = self._http.build_request(
            step.call.method, step.call.path, headers=step.headers, content=step.call.body, timeout=step.seconds
        )
        try:
            with whole_call(until):
                response = self._http.send(sent)
        except httpx.HTTPError as error:
            return no_answer(error)
        return Heard(response.status_code, response.headers, response.content)
