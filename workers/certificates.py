"""From published to certified: what is proven of the served scores, from the snapshot on disk and nothing else.

It follows the publish, so that replicas swap meanwhile; only the receipt waits for it. A certificate that cannot be
made holds up no deletion: the reason is kept in its place.
"""

from __future__ import annotations

import math
import time
from typing import Any
from uuid import UUID

import structlog

from alteraser import crash, snapshot
from alteraser.certificate import Certificate
from alteraser.kinds import kind
from alteraser.snapshot import Snapshot
from ledger import certificates, tracing
from ledger.certificates import Uncertified
from ledger.database import unit_of_work
from ledger.finite import finite
from workers.errors import NoSuchProof, NothingProven
from workers.leasing import reason_of
from workers.workbench import Workbench

LEASE_S = 120.0
"""Seconds after which another worker takes a certificate up. Making one takes seconds, and sends no heartbeat."""

log = structlog.get_logger(__name__)


def certify_published(workbench: Workbench) -> None:
    """Certify every published child that awaits it and that no other worker is at, or keep why that cannot be."""
    with unit_of_work(workbench.database) as session:
        given_up = certificates.give_up(session)
    for run_id in given_up:
        log.error("certificate_given_up", run=str(run_id))
    while (taken := _take(workbench)) is not None:
        _settle(workbench, taken)


def certify_run(workbench: Workbench, run_id: UUID) -> None:
    """Certify the child of one published run, unless another worker is at it or it is settled."""
    taken = _take(workbench, run_id)
    if taken is not None:
        _settle(workbench, taken)


def certified(child: Snapshot) -> Certificate:
    """Prove what can be proven of a snapshot's scores.

    Raises:
        NoSuchProof: The model's kind has no such proof.
        NothingProven: The bound on the distance is not a finite number.
    """
    certificate = kind(child.kind).certify(child.parameters, child.interactions, child.hyperparameters)
    if certificate is None:
        raise NoSuchProof(child.kind)
    if not math.isfinite(certificate.distance):
        raise NothingProven
    return certificate


def document(certificate: Certificate, moved: float, seconds: float) -> dict[str, Any]:
    """Return the certificate as JSON-able data; what is not bounded is null, for JSON has no word for infinity.

    Args:
        certificate: What is proven.
        moved: Norm of the change of all kept scores from before the deletion; 0 where nothing was deleted.
        seconds: How long it took to prove.
    """
    said = certificate.as_dict() | {"influence_bound": certificate.bound_on_influence(moved), "seconds": seconds}
    return finite(said)


def _take(workbench: Workbench, run_id: UUID | None = None) -> Uncertified | None:
    with unit_of_work(workbench.database) as session:
        return certificates.take(session, workbench.owner, LEASE_S, run_id)


def _settle(workbench: Workbench, taken: Uncertified) -> None:
    """Make the certificate and keep it, or why there is none."""
    names = {"model": taken.model, "run": str(taken.run_id), "child": taken.child}
    started = time.perf_counter()
    crash.point("certificate.taken")
    try:
        with tracing.stage("certify", _calls(workbench, taken), **names):
            found = certified(snapshot.read(workbench.snapshots, taken.child))
    except (NoSuchProof, NothingProven) as error:
        _record_none(workbench, taken, str(error))
    except Exception as error:
        log.exception("certificate_failed", **names)
        _record_none(workbench, taken, reason_of(error))
    else:
        seconds = time.perf_counter() - started
        with unit_of_work(workbench.database) as session:
            certificates.record(session, taken, document(found, taken.moved, seconds))
        crash.point("certificate.recorded")
        log.info("child_certified", **names, rmse_ratio=found.rmse_ratio, seconds=seconds)


def _record_none(workbench: Workbench, taken: Uncertified, reason: str) -> None:
    with unit_of_work(workbench.database) as session:
        certificates.record_none(session, taken, reason)


def _calls(workbench: Workbench, taken: Uncertified) -> tracing.Calls:
    """The calls that asked for what the run unlearned."""
    with unit_of_work(workbench.database) as session:
        return tracing.calls_of_run(session, taken.run_id)
