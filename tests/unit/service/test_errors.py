"""The table from error to status."""

from __future__ import annotations

import inspect

import pytest

from ledger.errors import LedgerError, RequestNotFound
from service import errors
from service.errors import ANSWERS, BY_STATUS, UNEXPECTED, ServiceError, SnapshotRefused, StartRefused, answer_to

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
NEVER_ANSWERED = (SnapshotRefused, StartRefused)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, ServiceError)])
def test_every_error_is_drawn_in_the_tree(kind: type[ServiceError]) -> None:
    assert f" {kind.__name__}" in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, ServiceError)])
def test_every_error_a_caller_can_cause_has_an_answer(kind: type[ServiceError]) -> None:
    if kind is not ServiceError and not issubclass(kind, NEVER_ANSWERED):
        assert answer_to(kind) is not UNEXPECTED


def test_no_two_kinds_of_problem_have_one_name() -> None:
    answers = {id(answer): answer for answer in (*ANSWERS.values(), *BY_STATUS.values(), UNEXPECTED)}
    slugs = [answer.slug for answer in answers.values()]
    assert len(slugs) == len(set(slugs))


def test_an_error_is_answered_as_its_nearest_ancestor() -> None:
    class Hidden(RequestNotFound):
        """One of its own."""

    assert answer_to(Hidden) is ANSWERS[RequestNotFound]
    assert answer_to(LedgerError) is UNEXPECTED
