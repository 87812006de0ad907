"""Seals: the signatures in the erasure journal, checked against the published keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ledger.checkpoints import public_keys, signed_by
from ledger.encoding import bytes_of
from ledger.journal import MAC, Journal
from ledger.journal_lines import sealed_text


def false_seals(journal: Journal, jwks: Mapping[str, Any]) -> list[int]:
    """Numbers of the lines, from 1, that are seals and that none of the keys signed."""
    keys = list(public_keys(jwks))
    return [number for number, mac, signature in _seals(journal) if not signed_by(keys, signature, sealed_text(mac))]


def _seals(journal: Journal) -> Iterator[tuple[int, str, bytes]]:
    """Each seal's line number, the HMAC of the line before it, and its signature."""
    if not journal.path.exists():
        return
    before = ""
    with journal.path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                facts = json.loads(line)
                if facts["event"] == "sealed":
                    yield number, before, bytes_of(facts["signature"])
                before = facts[MAC]
            except (ValueError, KeyError, TypeError):
                continue
