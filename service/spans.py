"""One server span per request, made when it is over, with the stages of its batch below it.

Made afterwards, from times that are known by then, a span costs nothing while the request is under way, and the
lane and the public way need nothing of OpenTelemetry's context. Spans wait in a bounded queue for a thread that
sends them; where the receiver is away or hangs they are dropped. No span holds the id of a user or an item.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from time import monotonic, perf_counter, time_ns
from typing import TYPE_CHECKING, Protocol

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.routes import ROUTES

if TYPE_CHECKING:
    from service.recommender import Recommendation

_FLUSH_SECONDS = 2.0
"""How long a worker that stops waits for the last spans to be taken."""

_LOOK_SECONDS = 0.01
_OURS_FAIL = 500
_UNNAMED = "unknown_service"
"""How the SDK begins the name of a service that was given none."""

_LOG = logging.getLogger(__name__)


class Traced(Protocol):
    """A request that was answered. By `time.perf_counter`: when it began, when all its body was here, and when it
    went into the queue."""

    headers: Mapping[bytes, bytes]
    request_id: str
    started: float
    received: float
    asked: float
    found: "Recommendation | None"


class Spans:
    """Sends to where OTEL_EXPORTER_OTLP_ENDPOINT says. Made in the process that answers: it starts a thread."""

    def __init__(self) -> None:
        # Not made the global one, which is BentoML's; and not ended by `atexit`, which may wait for half a minute.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("flyweight")
        self._parents = TraceContextTextMapPropagator()

    def record(self, route: str, request: Traced, status: int) -> None:
        """Note a request that is over now. Never raises; a route that is none of ours has no span."""
        method = ROUTES.get(route)
        if method is None:
            return
        try:
            self._record(f"{method} {route}", route, method, request, status)
        except Exception:
            _LOG.exception("a span was lost", extra={"request_id": request.request_id})

    def _record(self, name: str, route: str, method: str, request: Traced, status: int) -> None:
        now, now_ns = perf_counter(), time_ns()

        def at(moment: float) -> int:
            return now_ns - int((now - moment) * 1e9)

        span = self._tracer.start_span(
            name,
            context=self._parent(request.headers),
            kind=SpanKind.SERVER,
            attributes=_attributes(route, method, request, status),
            start_time=at(request.started),
        )
        if not span.is_recording():
            return
        if status >= _OURS_FAIL:
            span.set_status(Status(StatusCode.ERROR))
        within = set_span_in_context(span, Context())
        for stage, began, ended in _stages(request, now):
            self._child(stage, within, at(began)).end(at(ended))
        span.end(now_ns)

    def _child(self, stage: str, within: Context, start_ns: int) -> Span:
        return self._tracer.start_span(stage, context=within, start_time=start_ns)

    def _parent(self, headers: Mapping[bytes, bytes]) -> Context:
        given = headers.get(b"traceparent")
        if given is None:
            return Context()
        carrier = {"traceparent": given.decode("latin-1")}
        if state := headers.get(b"tracestate"):
            carrier["tracestate"] = state.decode("latin-1")
        return self._parents.extract(carrier, Context())

    async def close(self) -> None:
        """Send what waits, as far as that goes in a moment."""
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        latest = monotonic() + _FLUSH_SECONDS
        while ending.is_alive() and monotonic() < latest:
            await asyncio.sleep(_LOOK_SECONDS)
        if ending.is_alive():
            _LOG.warning("the last spans are dropped: their receiver did not take them in %g s", _FLUSH_SECONDS)
            self._exporter.shutdown()  # it would try again


def _resource() -> Resource:
    """Which process of which service this is; what the variables say comes first."""
    found = Resource({"process.pid": os.getpid()}).merge(Resource.create())
    if str(found.attributes.get(SERVICE_NAME, "")).startswith(_UNNAMED):
        found = found.merge(Resource({SERVICE_NAME: "flyweight"}))
    return found


def _attributes(route: str, method: str, request: Traced, status: int) -> dict[str, str | int | bool]:
    """By OpenTelemetry's conventions for HTTP servers where these have a name, else `flyweight.*`."""
    attributes: dict[str, str | int | bool] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "url.scheme": "http",
        "flyweight.request_id": request.request_id,
    }
    if "{" not in route:  # else the path holds the id of a user
        attributes["url.path"] = route
    if status >= _OURS_FAIL:
        attributes["error.type"] = str(status)
    if (found := request.found) is not None:
        model = found.serving.model
        attributes |= {
            "flyweight.reason": found.reason.value,
            "flyweight.source": found.source.value,
            "flyweight.degraded": found.reason.degraded,
            "flyweight.model": model.name,
            "flyweight.variant": model.variant,
            "flyweight.model_version": model.version,
        }
        if found.timings is not None:
            attributes["flyweight.batch_size"] = found.timings.size
    return attributes


def _stages(request: Traced, now: float) -> Iterator[tuple[str, float, float]]:
    """Name, beginning and end of each; on the lane nothing is received any more once a request has begun."""
    if request.found is None or (timings := request.found.timings) is None:
        return
    _, began, read, encoded, predicted, decoded = timings
    if request.received > request.started:
        yield "receive", request.started, request.received
    yield "parse", request.received, request.asked
    yield "queue", request.asked, began
    yield "features", began, read
    yield "encode", read, encoded
    yield "predict", encoded, predicted
    yield "decode", predicted, decoded
    yield "answer", decoded, now
