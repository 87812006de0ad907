"""Where callbacks may go: the URLs are other people's, and must not reach what only this machine can."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

from ledger.errors import CallbackRefused

LONGEST_URL = 2048
TUNNELS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""IPv6 addresses with an IPv4 address inside, by NAT64, 6to4 and Teredo: they lead wherever that one does."""


def check(url: str, *, allow_private: bool) -> None:
    """Refuse a URL that no callback may go to, as far as it can be told without a look at the network.

    Args:
        url: To be told at.
        allow_private: Whether plain http and addresses that are not public will do.

    Raises:
        CallbackRefused: It is not an https URL, holds a name and password, or names an address that is not public.
    """
    parts = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_private):
        raise CallbackRefused("it must begin with https://")
    if not parts.hostname or "@" in parts.netloc or not url.isprintable() or len(url) > LONGEST_URL:
        raise CallbackRefused("it must name a host, and nobody")
    if not allow_private and _is_private_literal(parts.hostname):
        raise CallbackRefused("its address is not public")


def is_public(address: str) -> bool:
    """Whether an address can be reached by everybody, and is no way around that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return _is_global(ip) and not any(ip in tunnel for tunnel in TUNNELS)


def _is_global(ip: IPv4Address | IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False  # a name, which is looked up when there is something to tell


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise CallbackRefused("it is not a URL") from error
    return parts
