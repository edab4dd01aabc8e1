"""The client for asyncio."""

import asyncio
from collections.abc import Sequence
from typing import Self

import httpx

from flyweight.client import calls
from flyweight.client.calls import Heard, Result, Seen
from flyweight.client.course import Attempt, Course, Pause
from flyweight.client.errors import NoAnswer
from flyweight.client.messages import Answer, Event, Forgetting, Recorded, Status
from flyweight.client.shared import ONCE, Asking, no_answer


class AsyncClient(Asking):
    """The same for asyncio. Close it, or use it in an `async with`."""

    _open = httpx.AsyncClient
    _http: httpx.AsyncClient
    _sleep = staticmethod(asyncio.sleep)

    async def predict(
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
        """As Client.predict."""
        call = calls.predict(user_id, history, k, exclude, seen, request_id)
        return await self._run(self._course(call, deadline_ms))

    async def record(
        self, events: Sequence[Event], *, deadline_ms: float | None = None, request_id: str | None = None
    ) -> Recorded:
        """As Client.record."""
        return await self._run(self._course(calls.record(events, request_id), deadline_ms))

    async def forget(
        self, user_id: str, *, deadline_ms: float | None = None, request_id: str | None = None
    ) -> Forgetting:
        """As Client.forget."""
        return await self._run(self._course(calls.forget(user_id, request_id), deadline_ms))

    async def status(self, *, deadline_ms: float | None = None) -> Status:
        return await self._run(self._course(calls.status(), deadline_ms))

    async def ready(self, *, deadline_ms: float | None = None) -> bool:
        """As Client.ready."""
        return await self._run(self._course(calls.ready(), deadline_ms, ONCE))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, course: Course[Result]) -> Result:
        step = next(course)
        while True:
            found = await self._take(step)
            try:
                step = course.send(found)
            except StopIteration as ended:
                result: Result = ended.value
                return result

    async def _take(self, step: Attempt | Pause) -> Heard | NoAnswer | None:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        sent = self._http.build_request(
            step.call.method, step.call.path, headers=step.headers, content=step.call.body, timeout=None
        )
        try:
            async with asyncio.timeout(step.seconds):
                response = await self._http.send(sent)
        except (httpx.HTTPError, TimeoutError) as error:
            return no_answer(error)
        return Heard(response.status_code, response.headers, response.content)
