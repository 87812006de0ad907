"""The HTTP server around the application."""

from __future__ import annotations

import errno
import socket

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import AddressUnavailable, PortInUse
from service.parts import Parts
from service.settings import ServiceSettings

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 5
BACKLOG = 2048


class Server(uvicorn.Server):
    """A server that, told to stop, lets go of the callers who wait.

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
        """End the waits, then everything else."""
        self._parts.ending.set()
        await super().shutdown(sockets)


def serve(settings: ServiceSettings) -> None:
    """Listen and answer until told to stop.

    Raises:
        PortInUse: Another process listens there.
        AddressUnavailable: The address cannot be listened on.
    """
    server = Server(create_app(settings))
    with bound(settings.service_host, settings.service_port) as listening:
        log.info("web_started", host=settings.service_host, port=listening.getsockname()[1])
        server.run(sockets=[listening])


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on the address.

    Raises:
        PortInUse: Another process listens there.
        AddressUnavailable: The address cannot be listened on.
    """
    try:
        listening = socket.create_server((host, port), backlog=BACKLOG, family=_family(host))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port) from error
        raise AddressUnavailable(host, port, error.strerror or type(error).__name__) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a body waits 40 ms for its headers' ACK
    return listening


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
