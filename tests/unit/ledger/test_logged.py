"""What a receipt says of the log is believed only where everything fits together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import checkpoints, merkle
from ledger.checkpoints import Checkpoint
from ledger.encoding import base64_of
from ledger.errors import CheckpointInvalid, ReceiptInvalid
from ledger.log.entries import canonical
from ledger.logged import check_extension, logged
from ledger.receipts import SigningKey, claims_digest, jwks

CLAIMS = {"iss": "urn:test", "jti": "1", "iat": 1_700_000_000, "sub": "b2c4", "request_id": "7", "residual": 1e-7}
ORIGIN = "alteraser/test"
INDEX, SIZE = 5, 11

Claims = dict[str, Any]


def entry(claims: Claims, /, **other: Any) -> str:
    said = {"request": claims["request_id"], "receipt": claims["jti"], "subject": claims["sub"]}
    return canonical({"event": "request_completed", "claims": claims_digest(claims), **said, **other})


def with_log(key: SigningKey, claims: Claims, text: str) -> Claims:
    """The claims with a proof that a log of eleven has the text as its sixth entry."""
    leaves = [merkle.leaf_hash(text.encode() if n == INDEX else str(n).encode()) for n in range(SIZE)]
    stored = merkle.grown({}, 0, leaves)
    proof = [base64_of(merkle.range_hash(each, stored)) for each in merkle.inclusion(INDEX, SIZE)]
    note = checkpoints.signed(Checkpoint(ORIGIN, SIZE, merkle.root(leaves)), key)
    return {**claims, "log": {"index": INDEX, "entry": text, "inclusion": proof, "checkpoint": note}}


def test_a_receipt_that_the_log_has_is_placed(tmp_path: Path) -> None:
    place = logged(with_log(SigningKey.create(tmp_path), CLAIMS, entry(CLAIMS)), jwks(tmp_path))
    assert place is not None
    assert (place.index, place.checkpoint.size, place.checkpoint.origin) == (INDEX, SIZE, ORIGIN)


def test_a_receipt_from_before_the_log_names_none(tmp_path: Path) -> None:
    assert logged(CLAIMS, jwks(tmp_path)) is None


@pytest.mark.parametrize(
    "other", [{"event": "request_cancelled"}, {"request": "8"}, {"receipt": "2"}, {"subject": "x"}, {"claims": "y"}]
)
def test_an_entry_about_something_else_is_refused(tmp_path: Path, other: dict[str, str]) -> None:
    with pytest.raises(ReceiptInvalid, match="something else"):
        logged(with_log(SigningKey.create(tmp_path), CLAIMS, entry(CLAIMS, **other)), jwks(tmp_path))


def test_a_receipt_whose_figures_are_not_those_logged_is_refused(tmp_path: Path) -> None:
    claims = with_log(SigningKey.create(tmp_path), CLAIMS, entry(CLAIMS))
    with pytest.raises(ReceiptInvalid, match="something else"):
        logged({**claims, "residual": 1e-12}, jwks(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log | {"index": INDEX + 1},
        lambda log: log | {"inclusion": log["inclusion"][1:]},
        lambda log: log | {"inclusion": [*log["inclusion"], log["inclusion"][0]]},
        lambda log: log | {"inclusion": ["!"]},
        lambda log: log | {"entry": "no json"},
        lambda _: {"index": INDEX},
        lambda _: "nothing",
    ],
)
def test_a_proof_that_does_not_lead_to_the_checkpoint_is_refused(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    claims = with_log(SigningKey.create(tmp_path), CLAIMS, entry(CLAIMS))
    with pytest.raises(ReceiptInvalid):
        logged(claims | {"log": change(claims["log"])}, jwks(tmp_path))


def test_a_checkpoint_by_another_key_is_refused(tmp_path: Path) -> None:
    claims = with_log(SigningKey.create(tmp_path / "theirs"), CLAIMS, entry(CLAIMS))
    SigningKey.create(tmp_path / "ours")
    with pytest.raises(CheckpointInvalid):
        logged(claims, jwks(tmp_path / "ours"))


def test_two_logs_do_not_extend_each_other() -> None:
    one = Checkpoint(ORIGIN, 1, bytes(32))
    with pytest.raises(CheckpointInvalid, match="another log"):
        check_extension(one, Checkpoint("alteraser/other", 1, bytes(32)), [])
    check_extension(one, one, [])
