"""The socket, or the reason why there is none."""

from __future__ import annotations

import socket

import pytest

from service.errors import AddressUnavailable, PortInUse
from service.listening import bound


def test_a_free_port_is_bound_and_sends_without_delay() -> None:
    with bound("127.0.0.1", 0) as listening:
        assert listening.getsockname()[1] > 0
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_callers_are_turned_away_until_there_is_somebody_to_answer() -> None:
    with bound("127.0.0.1", 0) as listening, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listening.getsockname())


def test_a_port_in_use_is_named() -> None:
    with bound("127.0.0.1", 0) as listening:
        listening.listen()
        port = listening.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1") as refused:
            bound("127.0.0.1", port)
    assert refused.value.port == port


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(AddressUnavailable, match=r"port 0 of 192\.0\.2\.1"):
        bound("192.0.2.1", 0)
