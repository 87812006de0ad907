"""What is said about invalid input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.phrases import phrase, pointer
from service.schemas.deletions import NewDeletion

MARKER = "zqMARKERqz"
marked = st.text(max_size=5).map(lambda text: MARKER + text)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | marked,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(marked, inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["subject", "interactions", "item", "reason", "request_id"]) | marked


def faults(body: object) -> list[Any]:
    try:
        NewDeletion.model_validate(body)
    except ValidationError as error:
        return list(error.errors())
    return []


@given(st.dictionaries(fields, anything, max_size=4) | anything)
def test_neither_words_nor_places_hold_any_input(body: object) -> None:
    for fault in faults(body):
        assert MARKER not in phrase(fault)
        assert MARKER not in pointer(fault)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "must hold exactly one of subject, interactions and item"),
        ({"subject": "x" * 257}, "must have at most 256 characters"),
        ({"subject": ""}, "must have at least 1 characters"),
        ({"subject": 1}, "must be a string"),
        ({"subject": "\x00"}, "has a character that is not allowed"),
        ({"subject": "1", "request_id": "x"}, "must be a UUID"),
        ({"subject": "1", "x": 1}, "has a field that is not known"),
        ({"interactions": 1}, "must be a list"),
        ({"interactions": [1]}, "must be a JSON object"),
        ({"interactions": [{"user": "1"}]}, "is required"),
        ({"interactions": [{"user": u, "item": "1"} for u in "12"]}, "must be interactions of one user"),
    ],
)
def test_every_fault_has_words_of_its_own(body: dict[str, object], said: str) -> None:
    assert [phrase(fault) for fault in faults(body)] == [said]


def test_a_fault_nobody_has_words_for_is_still_told() -> None:
    assert phrase({"type": "quite_new", "loc": ("body",)}) == "is not valid"


def test_pointers_escape_what_json_pointers_escape() -> None:
    assert pointer({"type": "missing", "loc": ("body", "a/b", 0, "c~d")}) == "/a~1b/0/c~0d"


def test_the_schema_names_no_default_for_what_has_to_be_given() -> None:
    schema = NewDeletion.model_json_schema()
    for name in ("subject", "interactions", "item"):
        assert "default" not in schema["properties"][name], json.dumps(schema)
