"""Whom a process must not know, as changes come in."""

from __future__ import annotations

from ledger.replicas import Change
from service.suppressions import Suppressions


def test_an_active_erasure_is_obeyed_at_once() -> None:
    suppressions = Suppressions()
    suppressions.learn([Change("ann", "user", True, 3), Change("film", "item", True, 4)])
    assert (suppressions.users, suppressions.items, suppressions.through) == ({"ann"}, {"film"}, 4)


def test_an_erasure_that_was_lifted_holds_until_what_is_served_is_as_new() -> None:
    suppressions = Suppressions()
    suppressions.learn([Change("ann", "user", True, 3)])
    suppressions.learn([Change("ann", "user", False, 5)])
    suppressions.settle(4)
    assert suppressions.users == {"ann"}
    suppressions.settle(5)
    assert suppressions.users == set()


def test_a_process_that_slept_through_a_deletion_does_not_know_the_subject_either() -> None:
    suppressions = Suppressions()
    suppressions.learn([Change("ann", "user", False, 5)])
    assert suppressions.users == {"ann"}
    suppressions.settle(5)
    assert suppressions.users == set()


def test_a_subject_that_is_erased_again_stays_suppressed() -> None:
    suppressions = Suppressions()
    suppressions.learn([Change("ann", "user", False, 5)])
    suppressions.learn([Change("ann", "user", True, 6)])
    suppressions.settle(6)
    assert suppressions.users == {"ann"}


def test_users_and_items_of_one_name_are_two() -> None:
    suppressions = Suppressions()
    suppressions.learn([Change("x", "user", True, 1), Change("x", "item", False, 2)])
    suppressions.settle(2)
    assert (suppressions.users, suppressions.items) == ({"x"}, set())


def test_learning_nothing_changes_nothing() -> None:
    suppressions = Suppressions()
    suppressions.learn([])
    suppressions.settle(10)
    assert (suppressions.users, suppressions.items, suppressions.through) == (set(), set(), 0)
