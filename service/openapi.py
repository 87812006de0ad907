"""The OpenAPI document: what FastAPI derives from the routes, and the schemas only responses name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from service.problems import InvalidPart, Problem

TRACE_ID = {
    "description": "Names this answer; the service's log has it under the same id.",
    "schema": {"type": "string", "format": "uuid"},
}
_TEMPLATE = "#/components/schemas/{model}"


def describe(app: FastAPI) -> None:
    """Add to the app's OpenAPI document what its routes refer to by name."""
    derived = app.openapi

    def described() -> dict[str, Any]:
        document = derived()
        schemas = document["components"]["schemas"]
        for model in (Problem, InvalidPart):
            schema = model.model_json_schema(by_alias=True, mode="serialization", ref_template=_TEMPLATE)
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        for response in _responses(document):
            response.setdefault("headers", {})["X-Trace-Id"] = TRACE_ID
        return document

    app.openapi = described  # type: ignore[method-assign] # FastAPI's own way to extend it


def _responses(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every response of every operation."""
    for operations in document["paths"].values():
        for operation in operations.values():
            yield from operation["responses"].values()
