"""The web application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import torch
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.telemetry import TelemetryConfig

from service import assets
from service.body_guard import BodyGuard
from service.collectors.broker import BrokerCollector
from service.collectors.journal import JournalCollector
from service.collectors.ledger import LedgerCollector
from service.collectors.replica import ReplicaCollector
from service.edge import Edge
from service.openapi import describe
from service.parts import Parts
from service.problems import answer_with_problems
from service.routes import (
    batches,
    contract,
    health,
    jwks,
    log,
    metrics,
    models,
    ops,
    ops_actions,
    ops_sessions,
    recommendations,
    requests,
)
from service.settings import ServiceSettings

ROUTES = (
    requests,
    batches,
    recommendations,
    models,
    log,
    jwks,
    health,
    metrics,
    ops,
    ops_actions,
    ops_sessions,
    contract,
)
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
DESCRIPTION = """Forgets people: a deletion request is out of the data, the model and every serving
replica in about a second, with a signed receipt.

Errors are problem documents (RFC 9457) and never repeat what was sent. Every call but the health
checks and the receipt keys needs an API key."""


def create_app(settings: ServiceSettings) -> FastAPI:
    """Make the application; it connects and starts to follow the ledger when it is started.

    Raises:
        SecretMissing: The key that makes pseudonyms is not in the secrets folder.
        SecretMalformed: It is not a key.
    """
    parts = Parts.of(settings)
    app = FastAPI(
        title="Alteraser",
        version=version("alteraser"),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect repeats the path
        lifespan=_lifespan,
        telemetry=NO_TELEMETRY,  # a span's attributes hold the path, and a path can hold an identity
    )
    app.state.parts = parts
    _measure(parts)
    app.add_middleware(BodyGuard)
    app.add_middleware(Edge, metrics=parts.metrics)
    answer_with_problems(app)
    app.mount(assets.PATH, assets.Assets())
    for module in ROUTES:
        app.include_router(module.router)
    describe(app)
    return app


def _measure(parts: Parts) -> None:
    """Have everything read that a scrape of this process shows."""
    registry = parts.metrics.registry
    registry.register(LedgerCollector(parts.database, parts.settings.replica_timeout_s))
    registry.register(BrokerCollector(parts.doorbell))
    registry.register(JournalCollector(parts.journal))
    registry.register(ReplicaCollector(parts.replica))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    torch.set_num_threads(1)  # a query is too small to gain from threads, and they wait for each other
    await run_in_threadpool(parts.start)
    try:
        yield
    finally:
        await run_in_threadpool(parts.stop)
