"""How good recommendations are (recall, NDCG), and how alike two sets of them (Jaccard, rank-biased overlap)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.errors import VocabularyMismatch
from alteraser.interactions import Csr, Interactions

ScoresOf = Callable[[NDArray[np.int64]], Tensor | NDArray[np.float32] | NDArray[np.float64]]

NO_ITEM = -1
CELLS_PER_BATCH = 4_000_000

PERSISTENCE = 0.9
"""Chance that somebody who has read one place of a list reads the next: the first ten places weigh 86 %."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Means over the users who have test interactions.

    Attributes:
        recall: Share of a user's test items that are among the first k.
        ndcg: Discounted cumulative gain of the first k, over that of the best possible list.
    """

    recall: float
    ndcg: float


def top_k(scores: Tensor, seen: Csr, k: int) -> Tensor:
    """The k best items of each row that were not seen, best first, ties by item row.

    Args:
        scores: (B, n_items); may be of any floating type, and is not changed.
        seen: (B, n_items) what each row must not be recommended.
        k: Length of the lists; cut to n_items.

    Returns:
        (B, min(k, n_items)) int64 item rows; `NO_ITEM` where a user has seen the rest.
    """
    scores = scores.masked_fill(_dense(seen, scores.shape[1]).to(scores.device), -torch.inf)
    k = min(k, scores.shape[1])
    best, items = scores.topk(min(k + 1, scores.shape[1]))  # (B, k + 1): a tie may reach over the edge
    tied = (best[:, 1:] == best[:, :-1]).any(dim=1)
    items[tied] = scores[tied].sort(dim=1, descending=True, stable=True).indices[:, : items.shape[1]]
    return items.masked_fill(scores.gather(1, items) == -torch.inf, NO_ITEM)[:, :k]


def accuracy(scores_of: ScoresOf, train: Interactions, test: Interactions, ks: Sequence[int]) -> dict[int, Accuracy]:
    """Recall@k and NDCG@k over all items not seen in training, for each k.

    Users without test interactions are left out of the means; where nobody has any, all are 0.

    Args:
        scores_of: Scores of user rows, (B,) -> (B, n_items).
        train: What each user has seen.
        test: What each should be recommended; over the vocabularies of `train`.
        ks: Lengths of lists.

    Raises:
        VocabularyMismatch: The two are not over the same users and items.
    """
    _check_vocabularies(train, test)
    users = np.flatnonzero(test.by_user.counts)
    sums = torch.zeros(len(ks), 2, dtype=torch.float64)
    for rows in _batches(users, train.n_items):
        lists = top_k(torch.as_tensor(scores_of(rows)), train.by_user.take(rows), max(ks)).cpu()
        relevant = test.by_user.take(rows)
        hits = _hits(lists, relevant, train.n_items)  # (B, max k)
        n_relevant = torch.from_numpy(relevant.counts)  # (B,)
        sums += torch.stack([_recall_and_ndcg(hits, n_relevant, k) for k in ks])
    means = (sums / max(len(users), 1)).tolist()
    return {k: Accuracy(recall, ndcg) for k, (recall, ndcg) in zip(ks, means, strict=True)}


def recommended(scores_of: ScoresOf, seen: Interactions, k: int) -> Tensor:
    """The k best items of every user that the user has not seen, (n_users, min(k, n_items)); see `top_k`.

    Args:
        scores_of: Scores of user rows, (B,) -> (B, n_items).
        seen: What each user must not be recommended.
        k: Length of the lists.
    """
    lists = torch.full((seen.n_users, min(k, seen.n_items)), NO_ITEM)
    for rows in _batches(np.arange(seen.n_users), seen.n_items):
        lists[rows] = top_k(torch.as_tensor(scores_of(rows)), seen.by_user.take(rows), k).cpu()
    return lists


def jaccard(lists_a: Tensor, lists_b: Tensor) -> float:
    """Mean over rows of |A and B| / |A or B|; order does not matter, two empty lists are alike.

    Args:
        lists_a: (B, k) distinct item rows, `NO_ITEM` where a list is shorter.
        lists_b: (B, k') likewise.
    """
    real_a, real_b = lists_a != NO_ITEM, lists_b != NO_ITEM
    same = (lists_a[:, :, None] == lists_b[:, None, :]) & real_a[:, :, None]  # (B, k, k')
    both = same.sum(dim=(1, 2), dtype=torch.float64)
    either = real_a.sum(dim=1) + real_b.sum(dim=1) - both
    return float(torch.where(either > 0, both / either, 1.0).mean())


def rank_biased_overlap(lists_a: Tensor, lists_b: Tensor, persistence: float = PERSISTENCE) -> float:
    """Mean over rows of the extrapolated rank-biased overlap: like `jaccard`, but the first places weigh most.

    With X_d the items that the first d places of both share, l and s the lengths of the longer and the shorter list,
    and p the persistence, a row's overlap is (Webber, Moffat, Zobel, "A similarity measure for indefinite rankings",
    ACM TOIS 2010, eq. 32)

        (1 - p)/p [ sum_{d <= l} X_d/d p^d + sum_{s < d <= l} X_s (d - s)/(s d) p^d ] + [ (X_l - X_s)/l + X_s/s ] p^l

    which is 1 where both are the same list, two empty ones included, and 0 where they share nothing.

    Args:
        lists_a: (B, k) distinct item rows, best first, `NO_ITEM` after the end of a shorter list.
        lists_b: (B, k) likewise.
        persistence: p, above 0 and below 1.
    """
    p, depths = persistence, torch.arange(1, lists_a.shape[1] + 1, dtype=torch.float64)  # (k,)
    lengths = torch.stack([(lists_a != NO_ITEM).sum(dim=1), (lists_b != NO_ITEM).sum(dim=1)]).double()  # (2, B)
    longer, shorter = lengths.max(dim=0).values[:, None], lengths.min(dim=0).values[:, None]  # (B, 1)
    shared = _shared_by_depth(lists_a, lists_b)  # (B, k)
    at_shorter = shared.gather(1, (shorter.long() - 1).clamp(min=0))  # (B, 1), X_s
    beyond = torch.where(depths > shorter, at_shorter * (depths - shorter) / (shorter.clamp(min=1) * depths), 0.0)
    terms = torch.where(depths <= longer, (shared / depths + beyond) * p**depths, 0.0)
    last = (shared[:, -1:] - at_shorter) / longer.clamp(min=1) + at_shorter / shorter.clamp(min=1)
    overlap = (1 - p) / p * terms.sum(dim=1, keepdim=True) + last * p**longer
    return float(torch.where(longer > 0, overlap, 1.0).mean())


def _shared_by_depth(lists_a: Tensor, lists_b: Tensor) -> Tensor:
    """How many items the first d places of both lists share, for d = 1 ... k; (B, k) float64."""
    same = (lists_a[:, :, None] == lists_b[:, None, :]) & (lists_a != NO_ITEM)[:, :, None]  # (B, k, k)
    within = same.double().cumsum(dim=1).cumsum(dim=2)
    return within.diagonal(dim1=1, dim2=2)


def _recall_and_ndcg(hits: Tensor, n_relevant: Tensor, k: int) -> Tensor:
    """Recall@k and NDCG@k, each summed over the rows; shape (2,)."""
    hits = hits[:, :k].to(torch.float64)
    discounts = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float64))  # (k,)
    ideal = discounts.cumsum(dim=0)[n_relevant.clamp(max=k) - 1]  # (B,)
    recall = hits.sum(dim=1) / n_relevant
    ndcg = hits @ discounts[: hits.shape[1]] / ideal
    return torch.stack([recall.sum(), ndcg.sum()])


def _hits(lists: Tensor, relevant: Csr, n_items: int) -> Tensor:
    """Whether each recommended item is a relevant one, shape of `lists`."""
    return _dense(relevant, n_items).gather(1, lists.clamp(min=0)) & (lists != NO_ITEM)


def _dense(rows: Csr, n_columns: int) -> Tensor:
    """The matrix as booleans, (n_rows, n_columns)."""
    dense = np.zeros((len(rows.counts), n_columns), dtype=np.bool_)
    dense[np.repeat(np.arange(len(dense)), rows.counts), rows.indices] = True
    return torch.from_numpy(dense)


def _batches(rows: NDArray[np.int64], n_items: int) -> Iterator[NDArray[np.int64]]:
    size = max(CELLS_PER_BATCH // max(n_items, 1), 1)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _check_vocabularies(train: Interactions, test: Interactions) -> None:
    if test.users != train.users or test.items != train.items:
        users, items = set(test.users.ids) - set(train.users.ids), set(test.items.ids) - set(train.items.ids)
        raise VocabularyMismatch(n_missing=len(users) + len(items))
