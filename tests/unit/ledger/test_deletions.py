"""Requests' rows become one set of deletions."""

from __future__ import annotations

from alteraser.deletions import Deletions
from ledger.deletions import combined


def test_requests_of_every_kind_are_combined() -> None:
    asked = [
        ("subject", "anna", None),
        ("item", "alien", None),
        ("interactions", "bert", {"items": ["alien", "brazil"]}),
        ("interactions", "bert", {"items": ["brazil"]}),
    ]
    pairs = frozenset({("bert", "alien"), ("bert", "brazil")})
    assert combined(asked) == Deletions(frozenset({"anna"}), frozenset({"alien"}), pairs)


def test_a_request_whose_identity_is_gone_asks_for_nothing() -> None:
    assert not combined([("subject", None, None), ("interactions", None, None)])
