"""Traces: every deletion has one, from the call that asked for it to its receipt, whichever processes take part.

The call's span context stands with the request in the ledger, for the doorbell carries nothing. A step that serves many
requests at once, such as a run, is a span in a trace of its own and one in the trace of each request, linked both ways.
Spans hold ids of requests, runs and snapshots, never an identity; of an error only its class.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.errors import TracingRefused
from ledger.tables import DeletionRequest, RequestModel

HEADER = "traceparent"
MOST_LINKS = 128
"""Links of one span; the specification keeps no more."""
EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OURS = "http/protobuf"

Calls: TypeAlias = tuple[Context, ...]
"""The spans of the calls that recorded requests: what is done for one is done within its call's trace."""

_tracer = trace.get_tracer("alteraser")
_w3c = TraceContextTextMapPropagator()
_SERVED = create_key("requests that are served")


def trace_as_asked(process: str) -> None:
    """Export the spans of this process where the standard `OTEL_*` variables ask for it.

    Args:
        process: What it is called where `OTEL_SERVICE_NAME` does not say.

    Raises:
        TracingRefused: They ask for an exporter or a protocol that is not there.
    """
    exporter = os.environ.get(EXPORTER) or ("otlp" if any(map(os.environ.get, ENDPOINTS)) else "none")
    if exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    if exporter != "otlp":
        raise TracingRefused(EXPORTER, exporter, "otlp")
    protocol = next(filter(None, map(os.environ.get, PROTOCOLS)), OURS)
    if protocol != OURS:
        raise TracingRefused(PROTOCOLS[1], protocol, OURS)
    _export(os.environ.get("OTEL_SERVICE_NAME") or f"alteraser-{process}")


def is_on() -> bool:
    """Whether spans go anywhere."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def traceparent() -> str | None:
    """The current span's context, as it is kept with a request; None where the span is not recorded."""
    carrier: dict[str, str] = {}
    if trace.get_current_span().is_recording():
        _w3c.inject(carrier)
    return carrier.get(HEADER)


def context_of(traceparent: str) -> Context:
    """The context in which a span is a child of the one named; an empty one where none is."""
    return _w3c.extract({HEADER: traceparent}, Context())


def calls_of(session: Session, request_ids: Sequence[UUID]) -> Calls:
    """The calls that recorded these requests, as far as they are traced."""
    return _calls(session, among(DeletionRequest.id, request_ids)) if is_on() else ()


def calls_of_run(session: Session, run_id: UUID) -> Calls:
    """The calls that recorded the requests which a run took."""
    if not is_on():
        return ()
    return _calls(session, DeletionRequest.id.in_(select(RequestModel.request_id).where(RequestModel.run_id == run_id)))


def calls_satisfied(session: Session, model: str, after: int, through: int) -> Calls:
    """The calls whose requests a model satisfies since it has left one version for another."""
    if not is_on():
        return ()
    versions = and_(RequestModel.model == model, RequestModel.version > after, RequestModel.version <= through)
    return _calls(session, DeletionRequest.id.in_(select(RequestModel.request_id).where(versions)))


@contextmanager
def answering(traceparent: str | None) -> Iterator[Span]:
    """A span around the answer to a call, in the caller's trace where it names one."""
    span = _tracer.start_span("HTTP", context_of(traceparent or ""), SpanKind.SERVER)
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield span


@contextmanager
def stage(name: str, calls: Calls | None = None, **facts: AttributeValue) -> Iterator[None]:
    """A step of the work for some requests: a span here, and one in the trace of each of them.

    Args:
        name: What is done.
        calls: Those that recorded the requests; None where the step is part of another.
        facts: Ids and numbers.
    """
    parents = _served() if calls is None else calls
    attributes = {f"alteraser.{fact}": value for fact, value in facts.items()}
    to_calls = [Link(trace.get_current_span(parent).get_span_context()) for parent in parents[:MOST_LINKS]]
    own = _tracer.start_span(name, links=to_calls, attributes=attributes)
    back = [Link(own.get_span_context())]
    spans = [_tracer.start_span(name, parent, links=back, attributes=attributes) for parent in parents]
    inner = set_value(_SERVED, tuple(trace.set_span_in_context(span, Context()) for span in spans))
    token = attach(trace.set_span_in_context(own, inner))
    try:
        yield
    except BaseException as error:
        for span in (own, *spans):
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        detach(token)
        for span in (*spans, own):
            span.end()


def note(event: str, **facts: AttributeValue) -> None:
    """Note a moment of the current stage."""
    trace.get_current_span().add_event(event, {f"alteraser.{fact}": value for fact, value in facts.items()})


def _served() -> Calls:
    served: Calls = get_value(_SERVED) or ()  # type: ignore[assignment]
    return served


def _calls(session: Session, which: ColumnElement[bool]) -> Calls:
    kept = select(DeletionRequest.traceparent).where(which, DeletionRequest.traceparent.is_not(None))
    in_order = session.scalars(kept.order_by(DeletionRequest.sequence))
    return tuple(context_of(each or "") for each in in_order)


def _export(process: str) -> None:
    """Send spans away in batches, from a thread."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # only where it is asked for:
    from opentelemetry.sdk.resources import Resource  # it takes a fifth of a second to load
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": process}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
