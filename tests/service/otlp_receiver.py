"""A small receiver of OTLP over HTTP, as a collector is one."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass
class Span:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    status: int
    start_ns: int
    end_ns: int
    attributes: dict
    resource: dict

    @property
    def request_id(self) -> str:
        return self.attributes.get("flyweight.request_id", "")


@dataclass
class Receiver:
    """`hangs`: takes what comes and never answers. `bodies`: what came, as it came."""

    url: str = ""
    hangs: bool = False
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    may_end: threading.Event = field(default_factory=threading.Event)

    def named(self, request_id: str) -> list[Span]:
        return [span for span in self.spans if span.request_id == request_id]

    def below(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for per_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _as_dict(per_resource.resource.attributes)
            for per_scope in per_resource.scope_spans:
                for span in per_scope.spans:
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    times = (span.start_time_unix_nano, span.end_time_unix_nano)
                    attributes = _as_dict(span.attributes)
                    self.spans.append(
                        Span(span.name, *ids, span.kind, span.status.code, *times, attributes, resource)
                    )


def _as_dict(attributes: list[KeyValue]) -> dict:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextlib.contextmanager
def receiving(*, hangs: bool = False) -> Iterator[Receiver]:
    receiver = Receiver(hangs=hangs)

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.hangs:
                receiver.bodies.append(body)
                receiver.may_end.wait(60)
                return
            assert self.path == "/v1/traces"
            receiver.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.may_end.set()
            server.shutdown()
            thread.join()
