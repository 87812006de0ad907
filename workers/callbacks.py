"""Telling callers that their request changed: signed, to public addresses only, and again until they have heard it.

The form is that of Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, which is
made with the receipt key (`v1a`, Ed25519). A callback says which request became what, and never whom it is about.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from http import HTTPStatus
from typing import Any

import httpx
import structlog

from alteraser import crash
from ledger import callbacks, destinations
from ledger.callbacks import Due
from ledger.database import unit_of_work
from ledger.encoding import base64_of
from ledger.errors import CallbackRefused
from ledger.receipts import Signer
from workers.workbench import Workbench

AT_ONCE = 8
HOLDS = 2
"""Time-outs after which another worker may take up what this one died over."""
HTTPS_PORT, HTTP_PORT = 443, 80

log = structlog.get_logger(__name__)


def deliver_due(workbench: Workbench) -> int:
    """Send what is due now, a few at a time; returns how many were tried."""
    due = _take(workbench)
    if not due:
        return 0
    n_tried = 0
    with _client(workbench.settings.worker_callback_timeout_s) as client, ThreadPoolExecutor(AT_ONCE) as senders:
        while due:
            list(senders.map(lambda each: _deliver(workbench, client, each), due))
            n_tried += len(due)
            due = _take(workbench)
    return n_tried


def message(due: Due, signer: Signer) -> tuple[bytes, dict[str, str]]:
    """The body of a callback, and the headers that say which it is and who sent it."""
    said = {
        "type": f"deletion_request.{due.state}",
        "timestamp": due.changed_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": {"id": str(due.request_id), "state": due.state, "number": due.number},
    }
    body = json.dumps(said, separators=(",", ":")).encode()
    sent_at = str(int(due.sent_at.timestamp()))
    signature = signer.sign_bytes(f"{due.id}.{sent_at}.".encode() + body)
    return body, {
        "Content-Type": "application/json",
        "User-Agent": "alteraser",
        "webhook-id": str(due.id),
        "webhook-timestamp": sent_at,
        "webhook-signature": f"v1a,{base64_of(signature)}",
        "webhook-key-id": signer.kid,
    }


def _take(workbench: Workbench) -> Sequence[Due]:
    hold_s = HOLDS * workbench.settings.worker_callback_timeout_s
    with unit_of_work(workbench.database) as session:
        return callbacks.take_due(session, AT_ONCE, hold_s)


@contextmanager
def _client(timeout_s: float) -> Iterator[httpx.Client]:
    """A client that follows nobody's hints, and keeps no connection: two hosts may share an address."""
    with httpx.Client(
        follow_redirects=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=timeout_s,
        trust_env=False,
        verify=ssl.create_default_context(),
    ) as client:
        yield client


def _deliver(workbench: Workbench, client: httpx.Client, due: Due) -> None:
    """Send one callback, and note what came of it."""
    refusal, is_final = _send(workbench, client, due)
    with unit_of_work(workbench.database) as session:
        if refusal is None:
            callbacks.deliver(session, due)
            return
        tries = due.attempts if is_final else workbench.settings.worker_callback_tries
        is_given_up = callbacks.fail(session, due, refusal, tries)
    told = {"request": str(due.request_id), "state": due.state, "attempts": due.attempts, "reason": refusal}
    if is_given_up:
        log.error("callback_given_up", **told)
    else:
        log.warning("callback_failed", **told)


def _send(workbench: Workbench, client: httpx.Client, due: Due) -> tuple[str | None, bool]:
    """Send it once; why it was not heard, None where it was, and whether trying again is of no use."""
    crash.point("callback.sending")
    try:
        status = _post(workbench, client, due)
    except (httpx.HTTPError, httpx.InvalidURL, CallbackRefused, OSError) as error:
        return error.reason if isinstance(error, CallbackRefused) else type(error).__name__, False
    crash.point("callback.sent")
    is_heard = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    return (None if is_heard else f"status {status}"), status == HTTPStatus.GONE


def _post(workbench: Workbench, client: httpx.Client, due: Due) -> int:
    """The status that the callback was answered with; nothing else of the answer is read."""
    allow_private = workbench.settings.callback_private
    destinations.check(due.url, allow_private=allow_private)
    url = httpx.URL(due.url)
    address = _address(url, allow_private=allow_private)
    body, headers = message(due, workbench.signer)
    named: dict[str, Any] = {"headers": {**headers, "Host": url.netloc.decode("ascii")}, "content": body}
    with client.stream("POST", url.copy_with(host=address), extensions={"sni_hostname": url.host}, **named) as answer:
        return answer.status_code


def _address(url: httpx.URL, *, allow_private: bool) -> str:
    """The address of the host, looked up this once: whoever answers for the name cannot change their mind after it.

    Raises:
        CallbackRefused: It has none, or one that is not public.
    """
    port = url.port or (HTTPS_PORT if url.scheme == "https" else HTTP_PORT)
    found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    if not addresses:
        raise CallbackRefused("its host has no address")
    if not allow_private and not all(map(destinations.is_public, addresses)):
        raise CallbackRefused("its address is not public")
    return addresses[0]
