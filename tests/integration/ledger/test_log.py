"""The log: every change in the order of commits, nobody may change it, and what is done to it all the same shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import ProgrammingError

from ledger import checkpoints as notes
from ledger import interactions, merkle, sweep
from ledger.database import unit_of_work
from ledger.errors import CheckpointInvalid, NoCheckpoint, NoSuchEntry, ProofOutOfRange, SubjectInUse
from ledger.log import checkpoints, entries, salts, tree
from ledger.log.inspection import Inspection, inspect
from ledger.logged import check_extension, logged
from ledger.receipts import jwks, verify
from migrations import ROLES

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

N_THREADS = 6
MANY = 10_000
TRIGGERS = "SELECT string_agg(tgname, ',') FROM pg_trigger WHERE tgrelid = CAST(:table AS regclass)"
LOG = ("log_entries", "log_nodes", "log_checkpoints", "log_head")


def events(scene: Scene) -> list[dict[str, Any]]:
    """Every entry, in the order of the log."""
    with unit_of_work(scene.database) as session:
        return [json.loads(entries.entry(session, index)) for index in range(tree.size(session))]


def forget(scene: Scene, user: str = "anna") -> str:
    """Record, unlearn and complete; returns the receipt."""
    scene.acknowledge(scene.train())
    request_id = scene.record(user)
    scene.acknowledge(scene.publish(scene.take()))
    scene.destroy()
    scene.complete(request_id)
    jws: str = scene.ask("SELECT jws FROM receipts")
    return jws


def sign(scene: Scene) -> str | None:
    with unit_of_work(scene.database) as session:
        return checkpoints.checkpoint(session, scene.signer)


def inspected(scene: Scene, secrets_dir: Path, journaled: list[tuple[str, bool]] | None = None) -> Inspection:
    with unit_of_work(scene.database) as session:
        return inspect(session, jwks(secrets_dir), journaled or [])


@contextmanager
def tampering(scene: Scene) -> Iterator[None]:
    """What the owner of the tables can do: switch the triggers off, change something, switch them on again."""
    for switch in ("DISABLE", "ENABLE ALWAYS"):
        for table in LOG:
            for name in scene.ask(TRIGGERS, table=table).split(","):
                scene.sql(f"ALTER TABLE {table} {switch} TRIGGER {name}")
        if switch == "DISABLE":
            yield


def test_every_change_of_a_request_stands_in_the_log_in_order(scene: Scene) -> None:
    forget(scene)
    happened = [each["event"] for each in events(scene)]
    assert happened == [
        "model_declared",
        "run_leased",
        "child_published",
        "child_certified",
        "snapshot_acknowledged",
        "request_recorded",
        "run_leased",
        "request_leased",
        "request_unlearned",
        "child_published",
        "child_certified",
        "snapshot_acknowledged",
        "request_suppressed",
        "snapshot_destroyed",
        "request_completed",
    ]


def test_what_ends_otherwise_stands_there_too(scene: Scene) -> None:
    scene.train()
    cancelled = scene.record("anna")
    scene.cancel(cancelled)
    scene.record("bert")
    scene.fail(scene.take())
    scene.rest()
    with unit_of_work(scene.database) as session:
        sweep.retry_failed(session)
    scene.let_expire(scene.take())
    with unit_of_work(scene.database) as session:
        sweep.expire_leases(session)
    happened = [each["event"] for each in events(scene)]
    assert {"request_cancelled", "run_failed", "request_resumed", "run_expired"} <= set(happened)
    assert {"event": "request_cancelled", "request": str(cancelled)}.items() <= next(
        each for each in events(scene) if each["event"] == "request_cancelled"
    ).items()


def test_a_change_that_is_rolled_back_leaves_no_entry(scene: Scene) -> None:
    scene.record("anna")
    before = len(events(scene))
    with pytest.raises(ProgrammingError), unit_of_work(scene.database) as session:  # noqa: PT012
        entries.enter(session, "never_happened")
        session.execute(text("SELECT FROM nowhere"))
    scene.record("bert")
    assert [each["event"] for each in events(scene)[before:]] == ["request_recorded", "request_unlearned"]


def test_entries_of_many_threads_are_numbered_without_a_gap_and_signed_states_extend_each_other(
    scene: Scene, secrets_dir: Path
) -> None:
    def change(thread: int) -> list[str]:
        signed = []
        for n in range(5):
            with unit_of_work(scene.database) as session:
                for k in range(n + 1):
                    entries.enter(session, "tested", thread=thread, n=n, k=k)
            signed.append(sign(scene))
        return [note for note in signed if note is not None]

    with ThreadPoolExecutor(N_THREADS) as threads:
        signed = [note for notes_ in threads.map(change, range(N_THREADS)) for note in notes_]
    of_thread = [[each["n"] for each in events(scene) if each["thread"] == thread] for thread in range(N_THREADS)]
    assert of_thread == [[0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4]] * N_THREADS
    assert inspected(scene, secrets_dir).faults == ()
    seen = sorted((notes.verified(note, jwks(secrets_dir)) for note in signed), key=lambda each: each.size)
    with unit_of_work(scene.database) as session:
        for earlier, later in pairwise(seen):
            check_extension(earlier, later, tree.consistency(session, earlier.size, later.size))


def test_proofs_from_the_database_are_those_of_the_whole_tree(scene: Scene) -> None:
    with unit_of_work(scene.database) as session:
        for n in range(37):
            entries.enter(session, "tested", n=n)
    with unit_of_work(scene.database) as session:
        leaves = [merkle.leaf_hash(entries.entry(session, index).encode()) for index in range(37)]
        for size in (1, 2, 31, 32, 37):
            assert tree.root(session, size) == merkle.root(leaves[:size])
            for index in {0, size // 2, size - 1}:
                proof = tree.inclusion(session, index, size)
                assert merkle.is_included(leaves[index], index, size, proof, merkle.root(leaves[:size]))
            proof = tree.consistency(session, size, 37)
            assert merkle.is_consistent(size, 37, merkle.root(leaves[:size]), merkle.root(leaves), proof)


def test_there_is_no_proof_beyond_the_log(scene: Scene) -> None:
    scene.record("anna")
    with unit_of_work(scene.database) as session:
        size = tree.size(session)
        with pytest.raises(ProofOutOfRange):
            tree.inclusion(session, 0, size + 1)
        with pytest.raises(ProofOutOfRange):
            tree.inclusion(session, size, size)
        with pytest.raises(ProofOutOfRange):
            tree.consistency(session, size, size + 1)
        with pytest.raises(NoSuchEntry):
            entries.entry(session, size)
        with pytest.raises(NoCheckpoint):
            checkpoints.latest(session)


def test_ten_thousand_entries_are_one_append(scene: Scene) -> None:
    statements: list[str] = []
    event.listen(scene.database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    with unit_of_work(scene.database) as session:
        for n in range(MANY):
            entries.enter(session, "tested", n=n)
    assert len(statements) <= 5
    with unit_of_work(scene.database) as session:
        assert tree.size(session) == MANY
        last = entries.entry(session, MANY - 1).encode()
        proof = tree.inclusion(session, MANY - 1, MANY)
        assert merkle.is_included(merkle.leaf_hash(last), MANY - 1, MANY, proof, tree.root(session, MANY))


def test_an_entry_has_one_spelling_and_no_float() -> None:
    assert entries.canonical({"b": 1, "a": ["é", None, True]}) == '{"a":["\\u00e9",null,true],"b":1}'
    with pytest.raises(TypeError, match="float"):
        entries.canonical({"a": 0.1})


@pytest.mark.parametrize("table", ["log_entries", "log_nodes", "log_checkpoints"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_database_refuses_to_change_the_log(scene: Scene, table: str, change: str) -> None:
    scene.record("anna")
    sign(scene)
    column = {"log_entries": "entry", "log_nodes": "hash", "log_checkpoints": "note"}[table]
    for replay in ("", "SET LOCAL session_replication_role = replica; "):
        with pytest.raises(ProgrammingError, match="append-only"):
            scene.sql(replay + change.format(table, column, column))
    assert scene.ask(f"SELECT count(*) FROM {table}") > 0  # noqa: S608


@pytest.mark.parametrize(
    "change", ["SET size = size - 1", "SET origin = 'another'", "DELETE", "TRUNCATE"], ids=lambda each: each.split()[0]
)
def test_the_head_of_the_log_never_goes_back(scene: Scene, change: str) -> None:
    scene.record("anna")
    whole = {"DELETE": "DELETE FROM log_head", "TRUNCATE": "TRUNCATE log_head"}
    statement = whole.get(change, f"UPDATE log_head {change}")
    with pytest.raises(ProgrammingError, match="append-only"):
        scene.sql(statement)


def test_the_restricted_role_may_append_and_nothing_else(scene: Scene) -> None:
    scene.record("anna")
    scene.sql(ROLES.read_text())
    appended = "INSERT INTO log_checkpoints (size, note) VALUES (0, 'note')"
    scene.sql(f"SET LOCAL ROLE alteraser_app; {appended}")
    for refused in (
        "UPDATE log_entries SET entry = ''",
        "DELETE FROM log_nodes",
        "TRUNCATE log_checkpoints",
        "ALTER TABLE log_entries DISABLE TRIGGER ALL",
        "DROP TABLE log_entries",
        "CREATE TABLE mine (id int)",
    ):
        with pytest.raises(ProgrammingError, match=r"denied|must be owner"):
            scene.sql(f"SET LOCAL ROLE alteraser_app; {refused}")


def test_a_log_that_nobody_touched_is_what_was_signed(scene: Scene, secrets_dir: Path) -> None:
    forget(scene)
    sign(scene)
    found = inspected(scene, secrets_dir)
    assert (found.faults, found.lost) == ((), ())
    assert (found.size, found.n_checkpoints) == (15, 1)


def test_a_tampered_row_is_found(scene: Scene, secrets_dir: Path) -> None:
    forget(scene)
    with tampering(scene):
        scene.sql("UPDATE log_entries SET entry = replace(entry, 'main', 'none') WHERE index = 2")
    faults = inspected(scene, secrets_dir).faults
    assert any("entries 2" in fault for fault in faults)
    assert any("history was rewritten" in fault for fault in faults)


def test_a_tampered_hash_is_found(scene: Scene, secrets_dir: Path) -> None:
    forget(scene)
    with tampering(scene):
        scene.sql("UPDATE log_nodes SET hash = sha256('') WHERE level = 2 AND place = 1")
    assert any("not those of their children" in fault for fault in inspected(scene, secrets_dir).faults)


def test_a_truncated_log_is_found(scene: Scene, secrets_dir: Path) -> None:
    forget(scene)
    with tampering(scene):
        scene.sql("DELETE FROM log_entries WHERE index > 9")
    faults = inspected(scene, secrets_dir).faults
    assert any("it was cut" in fault for fault in faults)
    assert any("head counts" in fault for fault in faults)


def test_a_missing_row_is_found(scene: Scene, secrets_dir: Path) -> None:
    forget(scene)
    with tampering(scene):
        scene.sql("DELETE FROM log_entries WHERE index = 4")
    assert any("entry 4 is missing" in fault for fault in inspected(scene, secrets_dir).faults)


def rewrite(scene: Scene, n_kept: int) -> None:
    """Write another history after so many entries, every hash and the head right, and no checkpoint left."""
    with tampering(scene):
        scene.sql("DELETE FROM log_entries WHERE index >= :n", n=n_kept)
        scene.sql("DELETE FROM log_nodes")
        scene.sql("DELETE FROM log_checkpoints")
        with unit_of_work(scene.database) as session:
            left = session.scalars(text("SELECT entry FROM log_entries ORDER BY index"))
            kept = [merkle.leaf_hash(each.encode()) for each in left]
            for node, value in merkle.grown({}, 0, kept).items():
                stored = text("INSERT INTO log_nodes VALUES (:level, :place, :hash)")
                session.execute(stored, {"level": node.level, "place": node.place, "hash": value})
            session.execute(text("UPDATE log_head SET size = :n"), {"n": n_kept})
    for n in range(20):
        with unit_of_work(scene.database) as session:
            entries.enter(session, "invented", n=n)


def test_a_history_rewritten_with_every_hash_right_is_found_by_a_checkpoint_kept_elsewhere(
    scene: Scene, secrets_dir: Path
) -> None:
    jws = forget(scene)
    note = scene.ask("SELECT note FROM log_checkpoints ORDER BY size DESC LIMIT 1")
    rewrite(scene, 7)
    sign(scene)
    assert inspected(scene, secrets_dir).faults == ()
    (fault,) = inspected(scene, secrets_dir, [(note, False)]).faults
    assert "history was rewritten" in fault
    assert inspected(scene, secrets_dir, [(note, True)]).lost == (fault,)
    claims = verify(jws, jwks(secrets_dir))
    place = logged(claims, jwks(secrets_dir))
    assert place is not None
    with unit_of_work(scene.database) as session:
        later = notes.verified(checkpoints.latest(session).note, jwks(secrets_dir))
        proof = tree.consistency(session, place.checkpoint.size, later.size)
    with pytest.raises(CheckpointInvalid, match="does not begin"):
        check_extension(place.checkpoint, later, proof)


def test_a_receipt_proves_offline_that_the_log_has_it(scene: Scene, secrets_dir: Path) -> None:
    claims = verify(forget(scene), jwks(secrets_dir))
    place = logged(claims, jwks(secrets_dir))
    assert place is not None
    assert (place.index, place.checkpoint.size) == (14, 15)
    with unit_of_work(scene.database) as session:
        assert place.checkpoint.root == tree.root(session, 15)
        assert entries.entry(session, 14) == claims["log"]["entry"]


def test_the_log_names_nobody(scene: Scene) -> None:
    forget(scene)
    said = json.dumps(events(scene))
    assert "anna" not in said
    assert scene.pseudonyms.user("anna") not in said


def test_after_the_salt_is_destroyed_nothing_ties_a_subject_to_the_log_and_the_log_verifies(
    scene: Scene, secrets_dir: Path
) -> None:
    forget(scene)
    hmac = scene.pseudonyms.user("anna")
    with unit_of_work(scene.database) as session:
        called = salts.known_alias(session, "user", hmac)
    assert called in {each.get("subject") for each in events(scene)}
    with unit_of_work(scene.database) as session:
        assert salts.destroy(session, "user", hmac)
    for table in ("deletion_requests", "erasures", "subject_salts", "log_entries", "receipts"):
        rows = f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%' || :hmac || '%'"  # noqa: S608
        assert scene.ask(rows, hmac=hmac) == 0
    with unit_of_work(scene.database) as session:
        assert salts.alias(session, "user", hmac) != called
    assert inspected(scene, secrets_dir).faults == ()
    with unit_of_work(scene.database) as session:
        assert interactions._erased_at(session).keys() == {("user", hmac)}
        assert salts.destroy(session, "user", hmac)
        assert not salts.destroy(session, "user", hmac)


def test_the_salt_of_an_open_request_is_not_destroyed(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    with pytest.raises(SubjectInUse), unit_of_work(scene.database) as session:
        salts.destroy(session, "user", scene.pseudonyms.user("anna"))


def test_a_checkpoint_is_signed_when_the_log_has_grown_and_only_then(scene: Scene) -> None:
    assert sign(scene) is None
    scene.record("anna")
    assert sign(scene) == sign(scene)
    assert scene.ask("SELECT count(*) FROM log_checkpoints") == 1
