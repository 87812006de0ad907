"""What changed between two generations of a model, and which items the deleted had, guessed from it.

Chen, Zhang, Wang, Backes, Humbert, Zhang, "When Machine Unlearning Jeopardizes Privacy" (ACM CCS 2021): whoever keeps
the model from before a deletion can compare it with the model after it, and what exact unlearning takes out is what the
comparison shows. No way of forgetting prevents that; more deletions in one step, and less to be seen, dilute it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.eraser import unlearn
from alteraser.interactions import Interactions, rows_in
from alteraser.kinds import kind as kind_of
from alteraser.snapshot import Snapshot
from benchmarks.membership import area_under_curve
from benchmarks.models import PARENT_DIGEST

Numbers: TypeAlias = NDArray[np.float64]
Observer: TypeAlias = Callable[[Snapshot, Snapshot], list[Numbers]]
"""From the models before and after to one number for each item before, larger where a deleted user is likelier to have
met it, infinite for items that are gone. Where a difference can be read in several ways, all of them: of an attack the
best is reported, as if the attacker knew which it is."""

BATCH = 50
"""Users that are forgotten in one step, besides one."""

N_ACCOUNTS = 20
"""Accounts of an attacker who has nothing but the service."""


def popular(before: Snapshot, _after: Snapshot) -> list[Numbers]:
    """Guess what is popular, without a look at the difference: what every other attack has to beat."""
    return [before.interactions.by_item.counts.astype(np.float64)]


def shown_to_strangers(before: Snapshot, after: Snapshot) -> list[Numbers]:
    """Return by how much the shares fell that the list for unknown users shows beside the most popular items.

    As served: the share of users who have met the item, unrounded.
    """
    shares = [model.interactions.by_item.counts / model.interactions.n_users for model in (before, after)]
    return [_over_items(before, after, shares[0][_kept_items(before, after)] - shares[1])]


def shown_to_accounts(before: Snapshot, after: Snapshot) -> list[Numbers]:
    """Return how every item's scores changed for a few users who are the attacker's own, spread over the rows."""
    n = len(after.parameters.users)
    return _read(before, after, np.arange(0, n, max(n // N_ACCOUNTS, 1)))


def every_score(before: Snapshot, after: Snapshot) -> list[Numbers]:
    """Return how every item's scores changed for all kept users: the attacker has the parameters."""
    return _read(before, after, np.arange(len(after.parameters.users)))


OBSERVERS: Mapping[str, Observer] = MappingProxyType(
    {
        "nothing: guesses what is popular": popular,
        "parameters": every_score,
        f"scores of {N_ACCOUNTS} own accounts": shown_to_accounts,
        "popularity list with its shares": shown_to_strangers,
    }
)


def recovered(live: Snapshot, n: int, draw: int) -> list[dict[str, Any]]:
    """Delete users alone and in a batch, and guess their items from the difference.

    Args:
        live: The model before.
        n: How many users are guessed; means over them.
        draw: Seed of the draw of users.

    Returns:
        A row for each observer and size of batch.
    """
    users = np.random.default_rng(draw).permutation(live.interactions.n_users)
    names = [live.interactions.users.ids[row] for row in users]
    alone = [(name, _forgotten(live, [name])) for name in names[:n]]
    batch = _forgotten(live, names[: min(max(BATCH, n), len(names) // 2)])
    rows = []
    for size, pairs in ((1, alone), (BATCH, [(name, batch) for name in names[:n]])):
        for observer, look in OBSERVERS.items():
            found = [[guessed(read, live.interactions, name) for read in look(live, after)] for name, after in pairs]
            auc, precision = np.mean(found, axis=0).max(axis=0)  # over the ways to read it
            rows.append({"deleted at once": size, "attacker sees": observer, "AUC": auc, "precision": precision})
    return rows


def guessed(evidence: Numbers, data: Interactions, user: str) -> tuple[float, float]:
    """Return the area under the curve of a user's items against all others, and the precision of as many best guesses.

    Args:
        evidence: (n_items,) larger for likelier.
        data: What the user had.
        user: The id.
    """
    row = data.users.rows([user])[0]
    met = np.zeros(data.n_items, dtype=np.bool_)
    met[data.by_user.row(int(row))] = True
    best = np.argsort(-evidence, kind="stable")[: met.sum()]
    return area_under_curve(evidence[met], evidence[~met]), float(met[best].mean())


def fallen_together(change: Numbers) -> Numbers:
    """Return how far each item fell along the direction in which the scores changed most.

    What one user leaves behind is close to one row for all users times one column for all items. The direction's sign
    is that of its largest entry: what somebody met loses more than the rest gains.

    Args:
        change: (n_users, n_items) scores after less scores before.
    """
    _, directions = np.linalg.eigh(change @ change.T)
    along: Numbers = change.T @ directions[:, -1]
    return -along if along[np.abs(along).argmax()] < 0 else along


def _forgotten(live: Snapshot, users: list[str]) -> Snapshot:
    deletions = Deletions(subjects=frozenset(users))
    return unlearn(live, deletions, watermark=1, parent_digest=PARENT_DIGEST).snapshot


def _read(before: Snapshot, after: Snapshot, rows: NDArray[np.int64]) -> list[Numbers]:
    """The change for these rows of the model after, read as one user's and as several users'.

    Of several, only how much an item changed is left to go by; the popular, which more data holds in place, would have
    changed more had they not been popular.
    """
    old = rows_in(after.interactions.users, before.interactions.users)[rows]
    kept = _kept_items(before, after)
    change = (
        kind_of(after.kind).scores(after.parameters, rows)
        - kind_of(before.kind).scores(before.parameters, old)[:, kept]
    )
    of_several = np.linalg.norm(change, axis=0) * before.interactions.by_item.counts[kept]
    return [_over_items(before, after, evidence) for evidence in (fallen_together(change), of_several)]


def _kept_items(before: Snapshot, after: Snapshot) -> NDArray[np.int64]:
    return rows_in(after.interactions.items, before.interactions.items)


def _over_items(before: Snapshot, after: Snapshot, of_kept: Numbers) -> Numbers:
    evidence = np.full(before.interactions.n_items, np.inf)
    evidence[_kept_items(before, after)] = of_kept
    return evidence
