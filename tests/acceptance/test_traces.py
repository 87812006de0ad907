"""A deletion has one trace, from the call to the receipt, over real processes and a real collector's protocol."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.processes import wait_until
from tests.trained_stack import MODEL, PERSON, trained_stack

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
STEPS = {
    "POST /v1/deletion-requests": "alteraser-web",
    "unlearn": "alteraser-worker",
    "publish": "alteraser-worker",
    "swap": "alteraser-web",
    "certify": "alteraser-worker",
    "complete": "alteraser-worker",
}


@dataclass
class Collector:
    """What was sent to an OTLP endpoint: spans with the service they come from, and the raw bytes."""

    url: str
    spans: list[tuple[str, Span]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        self.sent.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(names["service.name"], span) for span in scope.spans]

    def of_trace(self, trace_id: str) -> dict[str, tuple[str, Span]]:
        """The spans of a trace, by name."""
        return {span.name: (service, span) for service, span in self.spans if span.trace_id.hex() == trace_id}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()


def test_a_deletion_has_one_trace_and_its_ids_in_the_logs_from_the_call_to_the_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with trained_stack(tmp_path / "home") as deployment:
            path = deployment.ask(traceparent=f"00-{TRACE}-{CALLER}-01")
            done = deployment.caller.get(path, params={"wait": 60}).raise_for_status().json()
            assert done["state"] == "completed"
            wait_until(lambda: collector.of_trace(TRACE).keys() >= STEPS.keys(), within_s=30)

    trace = collector.of_trace(TRACE)
    assert {name: service for name, (service, _) in trace.items()} == STEPS
    call = trace["POST /v1/deletion-requests"][1]
    assert call.parent_span_id.hex() == CALLER
    for step in ("unlearn", "swap", "certify", "complete"):
        assert trace[step][1].parent_span_id == call.span_id
    assert trace["publish"][1].parent_span_id == trace["unlearn"][1].span_id
    began = [trace[step][1].start_time_unix_nano for step in STEPS if step != "certify"]
    assert began == sorted(began)

    (link,) = trace["unlearn"][1].links
    of_run = collector.of_trace(link.trace_id.hex())
    assert of_run["unlearn"][1].links[0].trace_id.hex() == TRACE
    assert of_run["unlearn"][1].span_id == link.span_id
    facts = {each.key: each.value.string_value for each in trace["unlearn"][1].attributes}
    assert facts["alteraser.model"] == MODEL
    assert facts["alteraser.run"] == done["models"][0]["run_id"]
    assert PERSON.encode() not in b"".join(collector.sent)

    run, request = done["models"][0]["run_id"], done["id"]
    web, worker = lines(tmp_path / "home" / "logs" / "web.log"), lines(tmp_path / "home" / "logs" / "worker.log")
    assert [line["trace_id"] for line in web if line["event"] == "request_recorded"] == [str(UUID(TRACE))]
    assert {line["request"] for line in web if line["event"] == "request_recorded"} == {request}
    assert any(line.get("request") == request for line in web if line["event"] == "request_answered")
    assert [line["run"] for line in worker if line["event"] == "request_leased"] == [run]
    events = {line["event"] for line in worker if line.get("run") == run}
    assert events >= {"run_leased", "request_leased", "child_published", "child_certified"}
    assert [line["request"] for line in worker if line["event"] == "request_completed"] == [request]
    assert PERSON not in json.dumps(web + worker)


def lines(log: Path) -> list[dict[str, Any]]:
    """What a process logged; what Celery says on standard error is in the same file."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
