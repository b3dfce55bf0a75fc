"""An OpenTelemetry collector for tests: a real HTTP server that reads OTLP's protobuf."""

import gzip
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanSeen:
    """One span as it came over the wire. Ids in hex; `parent` is empty for a root. `links`: trace
    and span id of each. `kind` and `status` by their names in the protocol."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    status: str
    status_text: str
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Value]
    resource: Mapping[str, Value]
    scope: str


@dataclass
class OtlpReceiver:
    """Runs in threads between `with` and its end. `status` is what it answers."""

    status: int = 200
    spans: list[SpanSeen] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(self.path, dict(self.headers.items()), body)
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """One request; what cannot be read fails the request, and so the test."""
        lower = {name.lower(): value for name, value in headers.items()}
        if lower.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        self.paths.append(path)
        self.headers.append(lower)
        if self.status == 200:
            self.spans += _spans(request)

    def named(self, name: str) -> list[SpanSeen]:
        """The spans of one name, in the order in which they began."""
        found = [one for one in list(self.spans) if one.name == name]
        return sorted(found, key=lambda one: one.began_ns)

    def wait_for(self, enough: Callable[[], bool], seconds: float = 20.0) -> None:
        """Until `enough` holds; fails with what there is after that many seconds."""
        deadline = time.monotonic() + seconds
        while not enough():
            names = [one.name for one in list(self.spans)]
            assert time.monotonic() < deadline, f"only {names} in {seconds} s"
            time.sleep(0.01)


def _spans(request: ExportTraceServiceRequest) -> list[SpanSeen]:
    return [
        _span(span, _values(of.resource.attributes), scope.scope.name)
        for of in request.resource_spans
        for scope in of.scope_spans
        for span in scope.spans
    ]


def _span(span: trace_pb2.Span, resource: Mapping[str, Value], scope: str) -> SpanSeen:
    return SpanSeen(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple((one.trace_id.hex(), one.span_id.hex()) for one in span.links),
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_text=span.status.message,
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        resource=resource,
        scope=scope,
    )


def _values(pairs: Sequence[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return tuple(one.string_value for one in value.array_value.values)
    found: Value = getattr(value, kind)
    return found
