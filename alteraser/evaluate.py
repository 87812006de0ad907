"""How good recommendations are (recall, NDCG), and how alike two sets of them (Jaccard)."""

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
