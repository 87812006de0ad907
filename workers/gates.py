"""What a child must show before it may be published: each gate is a number that must not exceed its bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.deletions import Deletions
from alteraser.evaluate import accuracy
from alteraser.interactions import Csr, Interactions, Vocabulary, rows_in
from alteraser.kinds import kind
from alteraser.report import Report
from alteraser.snapshot import Snapshot

RECALL_AT = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate found.

    Attributes:
        gate: Its name.
        measured: What it measured; NaN never passes.
        bound: The largest value that passes.
    """

    gate: str
    measured: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the child may go through."""
        return self.measured <= self.bound

    def as_dict(self) -> dict[str, str | float | bool]:
        """Return the verdict as it stands in the run's report and in the receipt."""
        return {"gate": self.gate, "measured": self.measured, "bound": self.bound, "passed": self.passed}


def converged(report: Report) -> Verdict:
    """The residual the solver reports against the tolerance it was asked for."""
    return Verdict("converged", report.residual, report.tolerance)


def absent(child: Snapshot, deletions: Deletions) -> Verdict:
    """How much of what was to be deleted the child's own data still names."""
    data = child.interactions
    users = sum(user in data.users for user in deletions.subjects)
    items = sum(item in data.items for item in deletions.items)
    pairs = sum(_has(data, user, item) for user, item in deletions.pairs)
    return Verdict("absent", users + items + pairs, 0)


def finite(child: Snapshot) -> Verdict:
    """How many of the child's parameters are not finite numbers."""
    parts = (child.parameters.users, child.parameters.items, child.parameters.shared)
    return Verdict("finite", sum(int((~torch.isfinite(part)).sum()) for part in parts), 0)


def accurate(child: Snapshot, parent: Snapshot, bound: float, n_users: int) -> Verdict:
    """How far training Recall@10 falls from parent to child, on the same kept users and the child's items.

    Both are scored on what the child was trained on, so what was deleted counts for neither. The users are
    spread evenly over the child's rows.

    Args:
        child: The snapshot to judge.
        parent: What is served now.
        bound: Largest fall that passes, in recall points.
        n_users: How many users at most.
    """
    rows = np.unique(np.linspace(0, child.interactions.n_users - 1, n_users).astype(np.int64))
    if not len(child.interactions):
        return Verdict("accurate", 0.0, bound)
    before = training_recall(parent, child.interactions, rows)
    after = training_recall(child, child.interactions, rows)
    return Verdict("accurate", before - after, bound)


def training_recall(model: Snapshot, data: Interactions, rows: NDArray[np.int64]) -> float:
    """Return Recall@10 of a model on the interactions `data` of the users `rows`, none of them excluded.

    Args:
        model: Knows every user and every item of `data`.
        data: What counts as a hit, and the items to choose among.
        rows: Users of `data`.
    """
    users = Vocabulary(tuple(data.users.ids[row] for row in rows))
    hits = Interactions.from_csr(users, data.items, data.by_user.take(rows))
    nothing = Interactions.from_csr(users, data.items, Csr(np.zeros_like(hits.by_user.indptr), np.zeros(0, np.int32)))
    model_rows = rows_in(users, model.interactions.users)
    model_items = rows_in(data.items, model.interactions.items)

    def scores_of(batch: NDArray[np.int64]) -> Tensor:
        scores = kind(model.kind).scores(model.parameters, model_rows[batch])
        return torch.from_numpy(scores[:, model_items])

    return accuracy(scores_of, train=nothing, test=hits, ks=(RECALL_AT,))[RECALL_AT].recall


def refusal(verdicts: Sequence[Verdict]) -> str:
    """Say which gates did not pass and by what numbers; empty where all did."""
    return ", ".join(f"{v.gate} {v.measured:.3g} > {v.bound:.3g}" for v in verdicts if not v.passed)


def documented(
    report: Report, verdicts: Sequence[Verdict], refusals: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what the ledger keeps of a run: the solver's report, the verdicts, refusals of earlier ways."""
    return {
        **report.as_dict(),
        "gates": [verdict.as_dict() for verdict in verdicts],
        "refused": dict(refusals or {}),
    }


def _has(data: Interactions, user_id: str, item_id: str) -> bool:
    user, item = data.users.row(user_id), data.items.row(item_id)
    return user is not None and item is not None and data.by_user.position(user, item) is not None
