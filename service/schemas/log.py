"""The log, as it is answered."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from ledger import merkle
from ledger.encoding import base64_of

_HASH = "K+nH9sGbkbs3ye8cqYFPp6oYIK5JxXRH5ukTVZvNBUA="
_ENTRY = '{"at":"2026-01-01T12:00:00.000000Z","event":"request_suppressed","request":"6f1c8f1e-..."}'


class LogEntryDocument(BaseModel):
    """An entry of the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"index": 7, "entry": _ENTRY, "leaf_hash": _HASH}]})

    index: int = Field(description="Its place, from 0.")
    entry: str = Field(description="What was hashed: canonical JSON in ASCII.")
    leaf_hash: str = Field(description="SHA-256 of a zero byte and the entry, in base64.")

    @classmethod
    def of(cls, index: int, entry: str) -> Self:
        """The same, with its hash."""
        return cls(index=index, entry=entry, leaf_hash=base64_of(merkle.leaf_hash(entry.encode())))


class LogProof(BaseModel):
    """A proof about the log: of an entry where `index` is set, of an earlier state where `first` is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"index": 7, "first": None, "size": 12, "hashes": [_HASH, _HASH]}]}
    )

    index: int | None = Field(description="The entry that is proven to be in the log.")
    first: int | None = Field(description="Entries of the earlier log that this one is proven to begin with.")
    size: int = Field(description="Entries of the log that the proof is about.")
    hashes: list[str] = Field(description="The proof (RFC 6962, sections 2.1.1 and 2.1.2), in base64.")
