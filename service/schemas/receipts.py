"""Receipts, as the contract describes them."""

from __future__ import annotations

RECEIPT_TYPE = "application/jose"

RECEIPT = {
    "description": "The receipt: a JSON Web Signature (EdDSA), compact serialisation.",
    "content": {RECEIPT_TYPE: {"schema": {"type": "string"}, "example": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"}},
}
