"""Recall, NDCG, Jaccard and rank-biased overlap against numbers worked out by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.errors import VocabularyMismatch
from alteraser.evaluate import NO_ITEM, Accuracy, accuracy, jaccard, rank_biased_overlap, recommended, top_k
from alteraser.interactions import Csr, Interactions, Vocabulary

USERS, ITEMS = Vocabulary(("a", "b", "c")), Vocabulary(("0", "1", "2", "3", "4"))
NOTHING_SEEN = Csr(np.zeros(2, dtype=np.int64), np.zeros(0, dtype=np.int32))


def _data(*pairs: tuple[int, int]) -> Interactions:
    users, items = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Interactions.from_rows(USERS, ITEMS, users, items)


def _falling(rows: NDArray[np.int64]) -> torch.Tensor:
    """Everybody likes item 0 best, then 1, 2, 3, 4."""
    return torch.arange(5, 0, -1, dtype=torch.float32).expand(len(rows), 5)


def test_the_best_unseen_items_come_first() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]])
    seen = Csr(np.array([0, 1, 2]), np.array([1, 2], dtype=np.int32))
    assert top_k(scores, seen, 2).tolist() == [[3, 2], [0, 1]]
    assert scores[0, 1] == pytest.approx(0.9)


def test_ties_fall_by_item_row_even_over_the_edge_of_the_list() -> None:
    scores = torch.zeros(1, 5000)
    scores[0, 4000] = 1
    assert top_k(scores, NOTHING_SEEN, 4).tolist() == [[4000, 0, 1, 2]]


def test_a_list_ends_where_the_user_has_seen_the_rest() -> None:
    seen = Csr(np.array([0, 3]), np.array([0, 1, 3], dtype=np.int32))
    assert top_k(torch.tensor([[4.0, 3, 2, 1]]), seen, 3).tolist() == [[2, NO_ITEM, NO_ITEM]]


def test_a_list_is_never_longer_than_the_catalogue() -> None:
    assert top_k(torch.tensor([[1.0, 2.0]]), NOTHING_SEEN, 10).tolist() == [[1, 0]]


def test_recall_and_ndcg_are_as_worked_out_by_hand() -> None:
    train = _data((0, 0), (1, 3))
    test = _data((0, 1), (0, 4), (1, 2))  # a is shown 1 2 3, b is shown 0 1 2
    found = accuracy(_falling, train, test, ks=[1, 3])
    assert found[1] == Accuracy(recall=(1 / 2 + 0) / 2, ndcg=(1 + 0) / 2)
    ideal_of_two = 1 + 1 / log2(3)
    assert found[3].recall == pytest.approx((1 / 2 + 1) / 2)
    assert found[3].ndcg == pytest.approx((1 / ideal_of_two + 1 / log2(4)) / 2)


def test_a_perfect_list_scores_one_and_lists_may_be_longer_than_the_catalogue() -> None:
    test = _data((0, 0), (0, 1), (1, 0))
    found = accuracy(_falling, _data(), test, ks=[2, 20])
    assert found == {2: Accuracy(1.0, 1.0), 20: Accuracy(1.0, 1.0)}


def test_users_without_test_interactions_are_not_asked_for() -> None:
    asked: list[int] = []

    def scores_of(rows: NDArray[np.int64]) -> torch.Tensor:
        asked.extend(rows.tolist())
        return _falling(rows)

    accuracy(scores_of, _data(), _data((2, 0)), ks=[1])
    assert asked == [2]


def test_scores_may_be_numpy_arrays() -> None:
    train, test = _data(), _data((0, 1))
    assert accuracy(lambda rows: _falling(rows).numpy(), train, test, [3]) == accuracy(_falling, train, test, [3])


def test_nobody_to_test_scores_zero() -> None:
    assert accuracy(_falling, _data(), _data(), ks=[10]) == {10: Accuracy(0.0, 0.0)}


def test_parts_over_different_vocabularies_are_refused() -> None:
    data = _data((0, 0), (1, 1))
    with pytest.raises(VocabularyMismatch) as refusal:
        accuracy(_falling, data.without(Deletions(subjects=frozenset({"a"}))), data, ks=[1])
    assert refusal.value.n_missing == 2  # the user, and the item nobody else met


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([[1, 2, 3]], [[3, 2, 1]], 1.0),
        ([[1, 2]], [[3, 4]], 0.0),
        ([[1, 2, 3]], [[2, 3, 4]], 0.5),
        ([[1, 2], [1, 2]], [[1, 2], [3, 4]], 0.5),
        ([[1, NO_ITEM]], [[1, NO_ITEM]], 1.0),
        ([[1, NO_ITEM]], [[NO_ITEM, NO_ITEM]], 0.0),
        ([[NO_ITEM]], [[NO_ITEM]], 1.0),
    ],
)
def test_jaccard_is_the_shared_share(one: list[list[int]], other: list[list[int]], expected: float) -> None:
    assert jaccard(torch.tensor(one), torch.tensor(other)) == pytest.approx(expected)


def _overlap_in_plain_words(one: list[int], other: list[int], p: float) -> float:
    """Webber et al. 2010, eq. 32, written down term by term."""
    one, other = ([item for item in items if item != NO_ITEM] for items in (one, other))
    short, long = sorted((len(one), len(other)))
    if long == 0:
        return 1.0
    if short == 0:
        return 0.0
    shared = [len(set(one[:d]) & set(other[:d])) for d in range(long + 1)]
    agreement = sum(shared[d] / d * p**d for d in range(1, long + 1))
    agreement += sum(shared[short] * (d - short) / (short * d) * p**d for d in range(short + 1, long + 1))
    return (1 - p) / p * agreement + ((shared[long] - shared[short]) / long + shared[short] / short) * p**long


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3], [3, 2, 1]),
        ([1, 2, 3], [4, 5, 6]),
        ([1, 2, 3, 4], [1, 2, 5, NO_ITEM]),
        ([7, NO_ITEM, NO_ITEM], [8, 9, 7]),
        ([1, NO_ITEM], [NO_ITEM, NO_ITEM]),
        ([NO_ITEM], [NO_ITEM]),
    ],
)
@pytest.mark.parametrize("p", [0.5, 0.9])
def test_rank_biased_overlap_is_as_written_down(one: list[int], other: list[int], p: float) -> None:
    expected = _overlap_in_plain_words(one, other, p)
    assert rank_biased_overlap(torch.tensor([one]), torch.tensor([other]), p) == pytest.approx(expected, abs=1e-14)
    assert rank_biased_overlap(torch.tensor([other]), torch.tensor([one]), p) == pytest.approx(expected, abs=1e-14)


def test_rank_biased_overlap_is_one_for_equal_lists_and_a_mean_over_rows() -> None:
    lists = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert rank_biased_overlap(lists, lists) == pytest.approx(1.0)
    assert rank_biased_overlap(lists, torch.tensor([[1, 2, 3], [7, 8, 9]])) == pytest.approx(0.5)


def test_the_first_places_weigh_most() -> None:
    truth = torch.tensor([[1, 2, 3, 4]])
    swapped_first, swapped_last = torch.tensor([[2, 1, 3, 4]]), torch.tensor([[1, 2, 4, 3]])
    assert jaccard(truth, swapped_first) == jaccard(truth, swapped_last) == 1.0
    assert rank_biased_overlap(truth, swapped_first) < rank_biased_overlap(truth, swapped_last) < 1.0


def test_everybody_is_recommended_what_they_have_not_seen() -> None:
    assert recommended(_falling, _data((0, 0), (1, 3)), 2).tolist() == [[1, 2], [0, 1], [0, 1]]
