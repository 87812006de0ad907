"""Which URLs and addresses a callback may go to."""

from __future__ import annotations

import pytest

from ledger.destinations import LONGEST_URL, check, is_public
from ledger.errors import CallbackRefused


@pytest.mark.parametrize("url", ["https://example.org/told?of=1", "https://8.8.8.8:8443/", "https://[2606:4700::1]/"])
def test_https_of_a_public_host_is_admitted(url: str) -> None:
    check(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://me:secret@example.org/",
        "https://example.org@10.0.0.1/",
        "https://",
        "https://example.org:port/",
        "https://[half/",
        "file:///etc/passwd",
        "https://example.org/\nHost: another",
        "https://example.org/" + "a" * LONGEST_URL,
    ],
)
def test_everything_else_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(CallbackRefused) as refused:
        check(url, allow_private=False)
    assert url not in str(refused.value)


@pytest.mark.parametrize("url", ["http://localhost:8080/", "http://10.1.2.3/", "https://[::1]/"])
def test_where_it_is_allowed_plain_http_and_private_addresses_will_do(url: str) -> None:
    check(url, allow_private=True)


@pytest.mark.parametrize("url", ["ftp://example.org/", "http://me@example.org/"])
def test_other_schemes_and_passwords_never_will(url: str) -> None:
    with pytest.raises(CallbackRefused):
        check(url, allow_private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_addresses_that_lead_inside(address: str) -> None:
    assert not is_public(address)
