"""The socket the web process will listen on."""

from __future__ import annotations

import errno
import socket

from service.errors import AddressUnavailable, PortInUse


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not listen yet: whoever calls before there is an answer is turned away.

    Raises:
        PortInUse: Another process listens there.
        AddressUnavailable: The address cannot be listened on.
    """
    listening = socket.socket(_family(host))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a predecessor's connections may still linger
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port) from error
        raise AddressUnavailable(host, port, error.strerror or type(error).__name__) from error
    # else a body may wait 40 ms for the acknowledgement of its headers
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
