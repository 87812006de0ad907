"""The HTTP server around the application."""

from __future__ import annotations

import asyncio
import socket
import time

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.parts import Parts
from service.settings import ServiceSettings

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 5
LOOK_EVERY_S = 0.1


class Server(uvicorn.Server):
    """A server that, told to stop, drains: it says so, answers whoever still comes, then lets go of those who wait.

    uvicorn's own access log is off: it would hold the paths, and a path can hold an identity.
    """

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=STOP_WITHIN_S,
            )
        )
        self._parts: Parts = app.state.parts

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, end the waits, then everything else."""
        await self._drain()
        self._parts.ending.set()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        """Be unready and go on answering until a load balancer has seen it; a second Ctrl-C cuts that short."""
        self._parts.stopping.set()
        until = time.monotonic() + self._parts.settings.service_drain_s
        while time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(LOOK_EVERY_S)


def serve(settings: ServiceSettings, listening: socket.socket) -> None:
    """Answer whoever comes to the socket, until told to stop.

    Raises:
        SecretMissing: The key that makes pseudonyms is not in the secrets folder.
        SecretMalformed: It is not a key.
    """
    server = Server(create_app(settings))
    log.info("web_started", host=settings.service_host, port=listening.getsockname()[1])
    server.run(sockets=[listening])
