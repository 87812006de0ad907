"""The socket the web process listens on."""

from __future__ import annotations

import errno
import socket

from service.errors import AddressUnavailable, PortInUse

BACKLOG = 2048


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
    # else a body may wait 40 ms for the acknowledgement of its headers
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
