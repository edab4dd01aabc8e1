"""What one process needs to answer, and its answers to /predict and /events."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette

from contracts.machine import cores
from contracts.settings import Settings
from service import logs, telemetry
from service.api_keys import ApiKeys
from service.batching import Asker, Batcher
from service.between import Between
from service.breaker import Breaker
from service.deadlines import Deadline, Overdue, end_tasks
from service.drain import Drain
from service.errors import Expired
from service.exchange import Exchange, Reply
from service.fair_share import FairShare
from service.feature_cache import FeatureCache
from service.lateness import Question
from service.live import Live
from service.memory import follow_memory
from service.overload import Overload
from service.pace import Pace
from service.prediction import DEADLINE, Answer, PredictRequest, parse_deadline_ms, parse_predict
from service.recommender import Recommendation, Recommender
from service.redis_clients import AsyncClient
from service.rollout import Rollout
from service.traces import open_traces

if TYPE_CHECKING:
    from service.spans import Spans

ANSWER_SECONDS = 3
"""How long an answer may take once its body has arrived."""

DEADLINE_HEADER = DEADLINE.lower().encode()

_ENCODER = msgspec.json.Encoder()


class _Awaited(asyncio.Future):
    """Who asks by the public way; a line in the log about the batch names the request."""

    request_id = ""


class Worker:
    """What one process needs to answer: built once, started and stopped by the application's lifespan."""

    def __init__(self, settings: Settings, features: FeatureCache, redis: AsyncClient) -> None:
        self.settings = settings
        self.features = features
        self.rollout = Rollout(settings.paths, check_ms=settings.service.pointer_check_ms)
        limits = settings.service
        self.breaker = Breaker(features)
        self.live = Live(settings, self.rollout, redis)
        self.pace = Pace(limits.deadline_ms / 1000, largest_batch=limits.max_batch)
        self._recommender = Recommender(self.rollout, self.breaker, pace=self.pace, trending=self.live.trending)
        self.batcher: Batcher[Question, Recommendation] = Batcher(
            self._recommender.recommend_in_time,
            max_batch=limits.max_batch,
            max_in_flight=limits.max_in_flight,
            pace=self.pace,
            between=Between(Pace(limits.deadline_ms / 1000, largest_batch=limits.max_batch)),
            note_batch=self._note_batch,
        )
        self._parsed, self._parsing = 0, 0.0  # requests since the last batch, seconds
        self._deadline_seconds = limits.deadline_ms / 1000
        self.fair_share = FairShare(settings.service.workers or cores(), self.batcher.is_busy)
        self._body_deadline = Deadline(settings.service.body_timeout_ms / 1000)
        self.answer_deadline = Deadline(ANSWER_SECONDS)
        self.overload = Overload()
        self.drain = Drain(settings.service.drain_seconds)
        self.keys = ApiKeys(settings.service.api_keys, settings.service.admin_keys)
        self.presence: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        self.traces: Spans | None = None
        self._takes_shortcut = False

    @property
    def is_ready(self) -> bool:
        return self.rollout.current is not None and not self.drain.is_on

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        telemetry.forget_dead_workers()
        self.rollout.boot()
        self.traces = open_traces()
        self._recommender.is_timed = self.traces is not None
        self.batcher.start()
        self.drain.take_over()
        watching = (
            self.rollout.follow(), self.breaker.watch(), self._body_deadline.watch(), self.answer_deadline.watch(),
            self.overload.watch(), follow_memory(), *self.live.follow(),
        )  # fmt: skip
        watchers = [asyncio.create_task(each, name=each.__qualname__) for each in watching]
        # Uvicorn words a line for its access log per request, also where nobody reads it; ours are the metrics.
        logging.getLogger("uvicorn.access").propagate = False
        try:
            telemetry.show_worker(is_up=True)
            with self.presence:
                yield
        finally:
            telemetry.show_worker(is_up=False)
            await end_tasks(watchers)
            self.overload.end()
            await self.batcher.stop()
            await self.live.close()
            await self.breaker.close()
            if self.traces is not None:
                await self.traces.close()
            logs.catch_up()

    def note_shortcut(self) -> None:
        """A connection was opened on which /predict is answered before BentoML sees the request."""
        self._takes_shortcut = True

    def variant(self) -> str:
        serving = self.rollout.current
        return serving.model.variant if serving else "none"

    async def predict(self, exchange: Exchange) -> Reply:
        self.batcher.enter()  # first: the bodies of a crowd would else fill the memory
        try:
            seconds = self.deadline_seconds(exchange.headers.get(DEADLINE_HEADER))
            body = await exchange.read_json(
                max_bytes=self.settings.service.max_body_bytes, deadline=self._body_deadline
            )
            read_at = perf_counter()
            request = parse_predict(body)
            self.batcher.refuse_when_late()  # again: its body may have been long under way
            asker = _Awaited()
            asker.request_id = exchange.request_id
            exchange.received, exchange.asked = read_at, perf_counter()
            self.ask(request, exchange.started, seconds, asker, read_at)
            exchange.found = found = await self.answer_deadline.wait(asker)
        except Overdue:
            raise self.expired() from None
        finally:
            self.batcher.leave()
        return self.reply(found, exchange.request_id)

    async def read_body(self, exchange: Exchange) -> bytes:
        """A body that need not be JSON, within the limits of all."""
        return await exchange.read_body(
            max_bytes=self.settings.service.max_body_bytes, deadline=self._body_deadline
        )

    def deadline_seconds(self, given: bytes | None) -> float:
        """How long an answer may take, by the header that its request brings. Raises `InvalidRequest`."""
        if given is None:
            return self._deadline_seconds
        return parse_deadline_ms(given, self.settings.service.deadline_ms) / 1000

    def ask(
        self,
        request: PredictRequest,
        started: float,
        seconds: float,
        asker: Asker[Recommendation],
        read_at: float,
    ) -> None:
        """Have `asker` answered `seconds` after `started`. Who brings a shorter deadline than is usual, and could
        not be answered by then for those ahead, gets the popular list at once. `read_at`: when parsing the
        request began."""
        now = perf_counter()
        self._parsed += 1
        self._parsing += now - read_at
        if seconds < self._deadline_seconds and self.batcher.seconds_ahead() > seconds:
            asker.set_result(self._recommender.bridge(request))
        else:
            self.batcher.submit((request, started + seconds, asker), asker, now)

    def _note_batch(self, requests: int, waited: float, answering: float) -> None:
        telemetry.count_batch(requests, waited, answering)
        if self._parsed:
            telemetry.count_parsing(self._parsing / self._parsed)
            self._parsed, self._parsing = 0, 0.0

    def reply(self, found: Recommendation, request_id: str) -> Reply:
        serving, reason = found.serving, found.reason
        self.live.notes.note(request_id, found)
        answer = Answer(request_id, found.items, serving.model, found.source, reason, reason.degraded)
        return Reply(_ENCODER.encode(answer), headers=serving.headers)

    def expired(self) -> Expired:
        return Expired(f"the answer took longer than {self.answer_deadline.seconds:g} s, the limit")

    async def events(self, exchange: Exchange) -> Reply:
        recorder = self.live.recorder
        recorder.enter()
        try:
            body = await exchange.read_json(
                max_bytes=self.settings.service.max_body_bytes, deadline=self._body_deadline
            )
            recorded = await recorder.record(body, exchange.request_id)
        finally:
            recorder.leave()
        return Reply(_ENCODER.encode(recorded), status=202)

    async def forget(self, exchange: Exchange) -> Reply:
        user_id = exchange.scope["path_params"]["user_id"]
        return Reply(_ENCODER.encode(await self.live.forget(user_id, exchange.request_id)), status=202)
