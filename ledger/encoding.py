"""Hashes in JSON: standard base64, as checkpoints spell them."""

from __future__ import annotations

import base64


def base64_of(content: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(content).decode("ascii")


def bytes_of(text: str) -> bytes:
    """The bytes behind standard base64.

    Raises:
        ValueError: It is not that.
    """
    return base64.b64decode(text.encode("ascii"), validate=True)
