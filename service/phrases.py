"""What is wrong with an input, in fixed words: pydantic's own messages and locations can hold the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PHRASES = {
    "bool_parsing": "must be true or false",
    "dict_type": "must be a JSON object",
    "enum": "must be one of {expected}",
    "extra_forbidden": "has a field that is not known",
    "float_parsing": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "keys_differ": "must hold equal keys where both request_id and idempotency_key are given",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "missing": "is required",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "several_users": "must be interactions of one user",
    "several_kinds": "must hold exactly one of subject, interactions and item",
    "string_pattern_mismatch": "has a character that is not allowed",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a string",
    "string_unicode": "must be a string of whole Unicode characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
}


def phrase(error: Mapping[str, Any]) -> str:
    """What is wrong, from one of pydantic's `errors()`; of its context only limits are told, never input."""
    return PHRASES.get(error["type"], "is not valid").format_map(error.get("ctx", {}))


def place(error: Mapping[str, Any]) -> str:
    """Where it is: ``body``, ``query``, ``path`` or ``header``."""
    return str(error["loc"][0])


def pointer(error: Mapping[str, Any]) -> str:
    """The JSON pointer to it within its place; to the parent of an unknown field, whose name is input."""
    steps = error["loc"][1:-1] if error["type"] == "extra_forbidden" else error["loc"][1:]
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
