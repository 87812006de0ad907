"""Somebody who is called back: a web server that keeps what it is told, and answers as it was told to."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True)
class Heard:
    """One callback as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """What it says."""
        said: dict[str, Any] = json.loads(self.body)
        return said

    @property
    def state(self) -> str:
        """What the request became."""
        return str(self.said["data"]["state"])

    def is_signed_by(self, jwks: Mapping[str, Any]) -> bool:
        """Whether one of these keys signed it, the way Standard Webhooks says."""
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        kind, _, signature = self.headers["webhook-signature"].partition(",")
        return kind == "v1a" and any(_verifies(key["x"], signature, signed) for key in jwks["keys"])


@dataclass
class Receiver:
    """What was heard so far, oldest first, and what is answered.

    Attributes:
        url: Where to call.
        statuses: Answers to the next callbacks; after these 204.
        pause_s: Seconds before an answer.
    """

    url: str
    statuses: list[int] = field(default_factory=list)
    pause_s: float = 0.0
    heard: list[Heard] = field(default_factory=list)

    def states(self, request_id: object) -> Sequence[str]:
        """What was heard of a request."""
        return [each.state for each in self.heard if each.said["data"]["id"] == str(request_id)]


@contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a port of its own while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.heard.append(Heard(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            time.sleep(made.pause_s)
            status = made.statuses.pop(0) if made.statuses else HTTPStatus.NO_CONTENT
            self.send_response(status)
            if status in (HTTPStatus.FOUND, HTTPStatus.TEMPORARY_REDIRECT):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    made = Receiver(f"{scheme}://localhost:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _verifies(x: str, signature: str, signed: bytes) -> bool:
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=="))
    try:
        public.verify(base64.b64decode(signature), signed)
    except InvalidSignature:
        return False
    return True
