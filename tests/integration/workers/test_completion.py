"""From unlearned to completed: what has to be gone, and the one receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from sqlalchemy import func, select

from alteraser import snapshot
from alteraser.durable import WRITING
from ledger import completion, receipts, replicas, requests
from ledger.database import unit_of_work
from ledger.requests import RequestView
from ledger.tables import Receipt
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.pipeline import run_once
from workers.sweep import sweep_once
from workers.training import train_once
from workers.workbench import Workbench

MODEL = "main"


def forget(workbench: Workbench, model: str = MODEL) -> None:
    """Unlearn what is pending, publish and certify."""
    run_once(workbench, model)
    certify_published(workbench)


def view(workbench: Workbench, request_id: UUID) -> RequestView:
    with unit_of_work(workbench.database) as session:
        return requests.get(session, "acme", request_id)


def receipt(workbench: Workbench, request_id: UUID) -> str | None:
    with unit_of_work(workbench.database) as session:
        return completion.receipt(session, "acme", request_id)


def current(workbench: Workbench) -> str:
    with unit_of_work(workbench.database) as session:
        digest = replicas.current(session, MODEL).digest
    assert digest is not None
    return digest


def test_nothing_is_completed_before_the_replica_has_swapped(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    swap()
    parent = current(trained)
    request_id = ask(user="7")
    forget(trained)
    assert complete_ready(trained) == 0
    assert parent in snapshot.digests(trained.snapshots)

    swap()
    assert complete_ready(trained) == 1
    assert view(trained, request_id).state == "completed"
    assert snapshot.digests(trained.snapshots) == {current(trained)}


def test_the_receipt_says_what_was_done_and_never_who(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    parent = current(trained)
    request_id = ask(user="7")
    forget(trained)
    swap()
    complete_ready(trained)

    jws = receipt(trained, request_id)
    assert jws is not None
    claims = receipts.verify(jws, receipts.jwks(trained.settings.secrets_dir))
    (model,) = claims["models"]
    assert (model["parent"], model["child"]) == (parent, current(trained))
    assert model["report"]["algorithm"] == "alteraser"
    assert model["report"]["residual"] < model["report"]["residual_before"]
    assert all(gate["passed"] for gate in model["report"]["gates"])
    assert [generation["snapshot"] for generation in claims["destroyed"]] == [parent]
    assert claims["unreachable"]
    assert claims["sub"] != "7"


def test_completing_twice_issues_one_receipt(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    request_id = ask(user="7")
    forget(trained)
    swap()
    assert [complete_ready(trained) for _ in range(3)] == [1, 0, 0]
    first = receipt(trained, request_id)
    sweep_once(trained)
    assert receipt(trained, request_id) == first
    with unit_of_work(trained.database) as session:
        assert session.scalar(select(func.count()).select_from(Receipt)) == 1


def test_a_crash_after_destroying_and_before_noting_it_is_made_good(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    parent = current(trained)
    request_id = ask(user="7")
    forget(trained)
    swap()
    snapshot.destroy(trained.snapshots, parent)
    assert complete_ready(trained) == 1
    assert view(trained, request_id).state == "completed"


def test_no_receipt_is_signed_while_the_folder_of_a_killed_run_still_holds_the_data(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    parent = snapshot.read(trained.snapshots, current(trained))
    never_published = replace(parent, parent=current(trained))  # what a worker killed before publishing leaves
    orphan = snapshot.write(trained.snapshots, never_published)
    request_id = ask(user="7")
    forget(trained)
    swap()
    assert complete_ready(trained) == 1
    assert view(trained, request_id).state == "completed"
    assert orphan not in snapshot.digests(trained.snapshots)


def test_no_receipt_is_signed_while_a_folder_is_half_written(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    request_id = ask(user="7")
    forget(trained)
    swap()
    half_written = trained.snapshots / f"{WRITING}killed"
    half_written.mkdir()
    assert complete_ready(trained) == 0
    half_written.rmdir()
    assert complete_ready(trained) == 1
    assert view(trained, request_id).state == "completed"


def test_with_two_models_a_request_is_done_when_both_are(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    train_once(trained, "second", given={"d": 3}, seed=1)
    request_id = ask(user="7")
    forget(trained)
    swap()
    assert complete_ready(trained) == 0
    assert view(trained, request_id).state == "in_progress"
    forget(trained, "second")
    assert complete_ready(trained) == 1
    assert len(snapshot.digests(trained.snapshots)) == 2


def test_without_a_live_replica_nobody_is_waited_for(trained: Workbench, ask: Callable[..., UUID]) -> None:
    request_id = ask(user="7")
    run_once(trained, MODEL)
    sweep_once(trained)
    assert view(trained, request_id).state == "completed"
