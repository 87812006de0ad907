"""One published model in memory, and the list it recommends to a user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alteraser.interactions import Csr, Vocabulary
from alteraser.kinds import kind
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot

POPULARITY_STEP = 1.1
"""Popularity is told in steps of this factor. With exact shares the lists before and after one deletion name every item
that the person had; with steps an item stays where it is unless that one person takes it across a border."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for beside the user.

    Attributes:
        n: How many items at most.
        exclude_seen: Leave out the items the user has met.
        exclude: Leave out these items too.
        candidates: Where given, recommend nothing but these.
    """

    n: int = 10
    exclude_seen: bool = True
    exclude: Sequence[str] = ()
    candidates: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Recommended:
    """An item and its score: the model's, or about the share of users who met it."""

    item: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A model as it is served: never changed, only replaced by its successor.

    Attributes:
        model: Name of the model.
        version: Counts its generations.
        digest: Names the snapshot.
        watermark: Sequence of the last deletion request it satisfies.
        kind: Name of the model kind.
        parameters: One row per user and item.
        users: Ids of the user rows.
        items: Ids of the item rows.
        seen: (n_users, n_items) item rows of each user.
        popularity: (n_items,) share of users who met the item, rounded down to a power of `POPULARITY_STEP`.
    """

    model: str
    version: int
    digest: str
    watermark: int
    kind: str
    parameters: Parameters = field(repr=False)
    users: Vocabulary = field(repr=False)
    items: Vocabulary = field(repr=False)
    seen: Csr = field(repr=False)
    popularity: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, model: str, version: int, digest: str, snapshot: Snapshot) -> Live:
        """Make a snapshot ready to serve."""
        data = snapshot.interactions
        return cls(
            model=model,
            version=version,
            digest=digest,
            watermark=snapshot.watermark,
            kind=snapshot.kind,
            parameters=snapshot.parameters,
            users=data.users,
            items=data.items,
            seen=data.by_user,
            popularity=in_steps(data.by_item.counts / max(data.n_users, 1)),
        )

    def recommend(
        self, row: int | None, query: Query, is_hidden: Callable[[str], bool], n_hidden: int
    ) -> list[Recommended]:
        """The best items for the user of `row`; for no row, for a user nobody knows, the most popular ones.

        Args:
            row: The user's row. Erased, suppressed and unknown users have none, and from here on nothing
                tells them apart, neither in what is computed nor in how long it takes.
            query: What is asked for.
            is_hidden: Whether an item is suppressed.
            n_hidden: How many items are suppressed at most.
        """
        scores = self.popularity if row is None else self._scores(row)
        allowed = self._allowed(row, query)
        best = top_rows(np.where(allowed, scores, -np.inf), query.n + n_hidden)
        shown = [r for r in best.tolist() if allowed[r] and not (n_hidden and is_hidden(self.items.ids[r]))]
        return [Recommended(self.items.ids[r], float(scores[r])) for r in shown[: query.n]]

    def _scores(self, row: int) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = kind(self.kind).scores(self.parameters, np.array([row]))[0]
        return scores

    def _allowed(self, row: int | None, query: Query) -> NDArray[np.bool_]:
        """Which items may be recommended, shape (n_items,)."""
        allowed = np.ones(len(self.items), dtype=np.bool_)
        if query.candidates is not None:
            allowed[:] = False
            allowed[self.items.rows(query.candidates)] = True
        allowed[self.items.rows(query.exclude)] = False
        if row is not None and query.exclude_seen:
            allowed[self.seen.row(row)] = False
        return allowed


def in_steps(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round shares down to powers of `POPULARITY_STEP`; 0 stays 0."""
    met = shares > 0
    steps = np.floor(np.log(shares, where=met, out=np.zeros_like(shares)) / np.log(POPULARITY_STEP))
    return np.where(met, POPULARITY_STEP**steps, 0.0)


def top_rows(scores: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """The rows of the `n` highest scores, best first, equals by row; all of them where there are fewer."""
    if n >= len(scores):
        return np.argsort(-scores, kind="stable")
    threshold = np.partition(scores, -n)[-n]
    contenders = np.flatnonzero(scores >= threshold)
    return contenders[np.argsort(-scores[contenders], kind="stable")][:n]
