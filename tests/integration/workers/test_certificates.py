"""From published to certified: on real snapshots, by whichever worker is alive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from alteraser import snapshot
from alteraser.certificate import Certificate, certify, distance_between
from alteraser.errors import SnapshotMissing
from alteraser.snapshot import Snapshot
from ledger import completion, receipts, requests
from ledger.database import unit_of_work
from ledger.tables import Run
from workers import certificates
from workers.certificates import certify_published, certify_run, document
from workers.completion import complete_ready
from workers.pipeline import run_once
from workers.sweep import sweep_once
from workers.workbench import Workbench, open_workbench

MODEL = "main"
PROVEN = Certificate(4, 1.0, "cholesky", 1e-8, 100.0, 1e-3, 1e-5, 0.1)


def run(workbench: Workbench, purpose: str = "unlearn") -> Run:
    with unit_of_work(workbench.database) as session:
        return session.scalars(select(Run).where(Run.purpose == purpose).order_by(Run.started_at.desc()).limit(1)).one()


def state(workbench: Workbench, request_id: UUID) -> str:
    with unit_of_work(workbench.database) as session:
        return requests.get(session, "acme", request_id).state


def said(workbench: Workbench, request_id: UUID) -> dict[str, Any]:
    """What the receipt says of the model."""
    with unit_of_work(workbench.database) as session:
        jws = completion.receipt(session, "acme", request_id)
    assert jws is not None
    (model,) = receipts.verify(jws, receipts.jwks(workbench.settings.secrets_dir))["models"]
    return dict(model)


def let_leases_run_out(workbench: Workbench) -> None:
    with unit_of_work(workbench.database) as session:
        session.execute(update(Run).values(lease_expires_at=func.clock_timestamp()))


def proving(certify: Callable[..., Certificate | None]) -> Callable[[str], SimpleNamespace]:
    """Model kinds that are certified by the function."""
    return lambda _: SimpleNamespace(certify=certify)


@pytest.fixture
def successor(trained: Workbench) -> Iterator[Workbench]:
    """Another worker."""
    opened = open_workbench(trained.settings)
    yield opened
    opened.close()


def scores(model: Snapshot, of: Snapshot) -> tuple[Any, Any]:
    """The factors of a model's rows that another one has too."""
    users, items = model.interactions.users.rows(of.interactions.users.ids), of.interactions.items.ids
    return (
        model.parameters.users.numpy()[users],
        model.parameters.items.numpy()[model.interactions.items.rows(items)],
    )


def test_a_published_child_is_certified_from_what_lies_on_the_disk(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    (parent,) = (snapshot.read(trained.snapshots, digest) for digest in snapshot.digests(trained.snapshots))
    ask(user="7")
    digest = run_once(trained, MODEL)
    assert digest is not None
    assert run(trained).certificate is None
    certify_published(trained)

    child = snapshot.read(trained.snapshots, digest)
    P, Q = scores(child, child)
    expected = certify(P, Q, child.interactions, child.hyperparameters)
    made = run(trained).certificate
    assert made is not None
    assert made["distance"] == pytest.approx(expected.distance)
    moved = distance_between(scores(parent, child), (P, Q))
    assert (run(trained).report or {})["moved"] == pytest.approx(moved)
    bound = expected.bound_on_influence(moved)
    assert made["influence_bound"] == (pytest.approx(bound) if bound < float("inf") else None)
    assert made["seconds"] > 0


def test_a_training_is_certified_too(trained: Workbench) -> None:
    made = run(trained, "train").certificate
    assert made is not None
    assert made["rank"] > 0
    assert made["influence_bound"] is None


def test_the_receipt_has_the_certificate(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    request_id = ask(user="7")
    run_once(trained, MODEL)
    swap()
    assert complete_ready(trained) == 0
    certify_published(trained)
    assert complete_ready(trained) == 1
    certificate = said(trained, request_id)["certificate"]
    assert certificate["sigma"] > 0
    assert "docs/algorithm.md" in certificate["assumes"]


def test_a_worker_that_died_before_the_certificate_is_succeeded(
    trained: Workbench, successor: Workbench, ask: Callable[..., UUID]
) -> None:
    request_id = ask(user="7")
    run_once(trained, MODEL)
    sweep_once(successor)
    assert state(trained, request_id) == "unlearned"

    let_leases_run_out(trained)
    sweep_once(successor)
    assert state(trained, request_id) == "completed"
    assert said(trained, request_id)["certificate"] is not None


def test_a_slow_worker_does_not_replace_the_certificate_of_its_successor(
    trained: Workbench, successor: Workbench, ask: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_: object) -> Certificate:
        let_leases_run_out(trained)
        certify_published(successor)
        return replace(PROVEN, distance=9.0)

    ways = iter([overtaken, lambda *_: PROVEN])

    def in_turn(*given: object) -> Certificate:
        way: Callable[..., Certificate] = next(ways)
        return way(*given)

    monkeypatch.setattr(certificates, "kind", proving(in_turn))
    ask(user="7")
    run_once(trained, MODEL)
    certify_published(trained)
    made = run(trained).certificate
    assert made is not None
    assert made["distance"] == PROVEN.distance
    assert run(trained).certifications == 2


def test_a_kind_without_such_a_proof_is_settled_at_once(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "kind", proving(lambda *_: None))
    request_id = ask(user="7")
    run_once(trained, MODEL)
    swap()
    certify_published(trained)
    assert complete_ready(trained) == 1
    model = said(trained, request_id)
    assert (model["certificate"], model["uncertified"]) == (None, "there is no such proof for models of kind 'wmf'")


def test_a_proof_that_fails_holds_up_nobody_and_is_recorded_by_its_class_only(
    trained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Certificate:
        raise FloatingPointError("user 7 is in here")

    monkeypatch.setattr(certificates, "kind", proving(failing))
    request_id = ask(user="7")
    run_once(trained, MODEL)
    swap()
    certify_published(trained)
    assert complete_ready(trained) == 1
    assert said(trained, request_id)["uncertified"] == "FloatingPointError"


def test_a_bound_that_is_no_number_proves_nothing(
    trained: Workbench, ask: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "kind", proving(lambda *_: replace(PROVEN, distance=float("nan"))))
    ask(user="7")
    run_once(trained, MODEL)
    certify_published(trained)
    assert run(trained).certificate is None
    assert run(trained).uncertified == "the bound on the distance of the scores is not a finite number"


def test_a_model_that_has_forgotten_everybody_is_settled_too(trained: Workbench, ask: Callable[..., UUID]) -> None:
    (digest,) = snapshot.digests(trained.snapshots)
    for user in snapshot.read(trained.snapshots, digest).interactions.users.ids:
        ask(user=user)
    run_once(trained, MODEL)
    certify_published(trained)
    settled = run(trained)
    assert settled.state == "published"
    assert settled.certificate or settled.uncertified


def test_a_snapshot_that_is_gone_is_the_reason_why_there_is_none(trained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user="7")
    digest = run_once(trained, MODEL)
    assert digest is not None
    snapshot.destroy(trained.snapshots, digest)
    certify_published(trained)
    assert run(trained).uncertified == str(SnapshotMissing(digest))


def test_certifying_again_changes_nothing(trained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user="7")
    run_once(trained, MODEL)
    certify_published(trained)
    before = run(trained).certificate
    certify_published(trained)
    certify_run(trained, run(trained).id)
    assert run(trained).certificate == before
    assert run(trained).certifications == 1


def test_what_is_not_bounded_is_null_in_json() -> None:
    said = document(replace(PROVEN, rms=0.0), moved=0.0, seconds=0.5)
    assert (said["influence_bound"], said["rmse_ratio"]) == (None, None)
    assert (said["distance"], said["sigma_by"], said["seconds"]) == (1e-3, "cholesky", 0.5)
    assert document(PROVEN, moved=0.101, seconds=0.5)["influence_bound"] == pytest.approx(1e-4)
