"""Spans: what stands in whose trace, and what is never in one."""

from __future__ import annotations

import os

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_trace_id

from ledger import tracing
from ledger.errors import TracingRefused

CALLS = tuple(f"00-{number:032x}-{number:016x}-01" for number in (1, 2))


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where this module's spans go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return exporter


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def in_trace(exporter: InMemorySpanExporter, number: int) -> dict[str, ReadableSpan]:
    spans = exporter.get_finished_spans()
    return {span.name: span for span in spans if span.context is not None and span.context.trace_id == number}


def calls() -> tracing.Calls:
    return tuple(tracing.context_of(call) for call in CALLS)


def test_a_step_stands_in_the_trace_of_every_request_and_once_in_its_own(exported: InMemorySpanExporter) -> None:
    with tracing.stage("unlearn", calls(), run="r"), tracing.stage("publish", child="c"):
        pass
    assert len(exported.get_finished_spans()) == 6
    for number in (1, 2):
        spans = in_trace(exported, number)
        assert spans["unlearn"].parent is not None
        assert spans["unlearn"].parent.span_id == number
        assert spans["unlearn"].attributes == {"alteraser.run": "r"}
        assert spans["publish"].parent == spans["unlearn"].context
    links = in_trace(exported, 1)["unlearn"].links
    own = in_trace(exported, links[0].context.trace_id)
    assert [link.context.trace_id for link in own["unlearn"].links] == [1, 2]
    assert own["publish"].parent == own["unlearn"].context


def test_of_an_error_only_its_class_is_told(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="anna"), tracing.stage("unlearn", calls()):
        raise ValueError("anna is not in the model")
    for span in exported.get_finished_spans():
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
        assert not span.events
        assert "anna" not in span.to_json()


def test_a_call_goes_on_in_the_callers_trace_and_is_kept_for_the_request(exported: InMemorySpanExporter) -> None:
    with tracing.answering(CALLS[0]) as span:
        kept = tracing.traceparent()
        trace_id = format_trace_id(span.get_span_context().trace_id)
    assert f"{1:032x}" == trace_id
    assert kept is not None
    assert kept.startswith(f"00-{trace_id}-")
    assert kept != CALLS[0]
    assert [each.name for each in exported.get_finished_spans()] == ["HTTP"]


def test_without_being_asked_to_nothing_is_traced() -> None:
    tracing.trace_as_asked("web")
    assert not tracing.is_on()
    with tracing.answering(CALLS[0]):
        assert tracing.traceparent() is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
def test_a_way_to_send_traces_that_is_not_there_is_refused(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(TracingRefused, match=f"{variable} is '{value}'"):
        tracing.trace_as_asked("web")
    assert not tracing.is_on()


def test_a_disabled_sdk_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracing.trace_as_asked("web")
    assert not tracing.is_on()
