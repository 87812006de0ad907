"""The log over HTTP: a stranger with the keys can check a receipt against it, and sees nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from cli import logs
from cli.deployment import Deployment as Addresses
from cli.errors import BadOption, LogDamaged, SubjectNotLogged
from cli.receipts import verify
from ledger import checkpoints, merkle
from ledger.encoding import bytes_of
from ledger.errors import CheckpointInvalid
from ledger.receipts import jwks
from tests.integration.service.conftest import MODEL, OTHER_USER, USER
from workers.sealing import seal

if TYPE_CHECKING:
    from httpx import Response

    from tests.integration.service.conftest import Deployment


def get(deployment: Deployment, path: str, *scopes: str, **query: Any) -> Response:
    return deployment.client.get(f"/v1/log/{path}", params=query, headers=deployment.key(*(scopes or ("ops:read",))))


def completed(deployment: Deployment) -> str:
    """Forget the user; the receipt."""
    request_id = deployment.ask({"subject": USER}).json()["id"]
    deployment.unlearn()
    assert deployment.complete() == 1
    seal(deployment.workbench)
    path = f"/v1/deletion-requests/{request_id}/receipt"
    return deployment.client.get(path, headers=deployment.key("deletion:read")).text


def addresses(deployment: Deployment) -> Addresses:
    settings = deployment.settings
    folders = (str(settings.snapshot_dir), str(settings.secrets_dir))
    return Addresses(settings.database_url, settings.broker_url, *folders)


def test_checkpoint_entries_and_proofs_verify_together(deployment: Deployment) -> None:
    completed(deployment)
    answer = get(deployment, "checkpoint", "deletion:read")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    seen = checkpoints.verified(answer.text, jwks(deployment.settings.secrets_dir))
    for index in range(seen.size):
        entry = get(deployment, f"entries/{index}").json()
        leaf = merkle.leaf_hash(entry["entry"].encode())
        assert (entry["index"], bytes_of(entry["leaf_hash"])) == (index, leaf)
        proof = get(deployment, "proof", index=index).json()
        assert proof["size"] == seen.size
        assert merkle.is_included(leaf, index, seen.size, list(map(bytes_of, proof["hashes"])), seen.root)


def test_a_later_checkpoint_extends_an_earlier_one(deployment: Deployment) -> None:
    seal(deployment.workbench)
    keys = jwks(deployment.settings.secrets_dir)
    earlier = checkpoints.verified(get(deployment, "checkpoint").text, keys)
    completed(deployment)
    later = checkpoints.verified(get(deployment, "checkpoint").text, keys)
    proof = get(deployment, "proof", first=earlier.size, size=later.size).json()
    hashes = list(map(bytes_of, proof["hashes"]))
    assert merkle.is_consistent(earlier.size, later.size, earlier.root, later.root, hashes)


def test_what_the_log_does_not_have_is_told_as_a_problem(untrained: Deployment) -> None:
    assert get(untrained, "checkpoint").json()["type"].endswith("no-checkpoint")
    assert get(untrained, "proof", index=0).json()["type"].endswith("no-checkpoint")
    assert get(untrained, "entries/0").json()["type"].endswith("no-such-entry")
    untrained.ask({"subject": USER})
    seal(untrained.workbench)
    for query in ({"index": 99}, {"index": 0, "size": 99}, {"first": 99}):
        assert get(untrained, "proof", **query).json()["type"].endswith("proof-out-of-range")
    for query in ({}, {"index": 0, "first": 1}):
        assert get(untrained, "proof", **query).json()["type"].endswith("proof-unclear")


def test_entries_of_all_tenants_are_for_operators_only(shared: Deployment) -> None:
    assert get(shared, "entries/0", "deletion:read").status_code == 403
    assert get(shared, "checkpoint", "recommend").status_code == 403
    assert shared.client.get("/v1/log/checkpoint").status_code == 401


def test_the_command_checks_a_receipt_its_proof_and_a_later_checkpoint_offline(
    deployment: Deployment, tmp_path: Path
) -> None:
    receipt, keys, later, proof = (tmp_path / name for name in ("receipt.jws", "jwks.json", "checkpoint", "proof.json"))
    receipt.write_text(completed(deployment))
    keys.write_text(json.dumps(jwks(deployment.settings.secrets_dir)))
    deployment.ask({"subject": OTHER_USER})
    seal(deployment.workbench)
    later.write_text(get(deployment, "checkpoint").text)
    console = Console(record=True, width=200)
    verify(console, receipt, keys, None, None)
    assert "the log has it: entry" in console.export_text()
    with pytest.raises(CheckpointInvalid, match="--proof") as told:
        verify(console, receipt, keys, later, None)
    query = dict(pair.split("=") for pair in str(told.value).split("?")[1].split(" ")[0].split("&"))
    proof.write_text(get(deployment, "proof", **query).text)
    verify(console, receipt, keys, later, proof)
    assert "begins with that one" in console.export_text()
    proof.write_text(json.dumps({"hashes": []}))
    with pytest.raises(CheckpointInvalid, match="does not begin"):
        verify(console, receipt, keys, later, proof)


def test_the_command_says_that_an_untouched_log_is_what_was_signed_and_names_what_is_not(
    deployment: Deployment,
) -> None:
    completed(deployment)
    console = Console(record=True, width=200)
    logs.verify(console, addresses(deployment))
    assert "is what was signed" in console.export_text()
    deployment.sql("ALTER TABLE log_entries DISABLE TRIGGER ALL")
    deployment.sql("UPDATE log_entries SET entry = replace(entry, :model, 'none') WHERE index = 1", model=MODEL)
    journal = deployment.settings.journal_folder / "erasures.jsonl"
    journal.write_text(journal.read_text().replace('"event":"completed"', '"event":"cancelled"'))
    with pytest.raises(LogDamaged) as told:
        logs.verify(console, addresses(deployment))
    said = str(told.value)
    assert "entries 1" in said
    assert "history was rewritten" in said
    assert "the journal: line" in said


def test_the_command_forgets_who_an_entry_was_about_and_the_log_still_verifies(deployment: Deployment) -> None:
    completed(deployment)
    console = Console(record=True, width=200)
    with pytest.raises(BadOption):
        logs.forget(console, addresses(deployment), user=None, item=None)
    logs.forget(console, addresses(deployment), user=USER, item=None)
    assert deployment.sql("SELECT count(*) FROM subject_salts") == 0
    assert ("user", deployment.parts.pseudonyms.user(USER)) in deployment.parts.journal.read().forgotten
    with pytest.raises(SubjectNotLogged):
        logs.forget(console, addresses(deployment), user=USER, item=None)
    logs.verify(console, addresses(deployment))
