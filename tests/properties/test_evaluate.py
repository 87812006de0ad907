"""Lists and their measures beside a slow reference that sorts and counts."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alteraser.evaluate import accuracy, top_k
from alteraser.interactions import Interactions, Vocabulary

N_USERS, N_ITEMS = 4, 7
USERS, ITEMS = (Vocabulary(tuple(str(row) for row in range(n))) for n in (N_USERS, N_ITEMS))

cells = st.sets(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1)))
scores = st.lists(
    st.lists(st.integers(-3, 3).map(float), min_size=N_ITEMS, max_size=N_ITEMS),
    min_size=N_USERS,
    max_size=N_USERS,
)
lengths = st.integers(1, N_ITEMS + 2)
Cells = set[tuple[int, int]]


def _data(found: Cells) -> Interactions:
    users, items = np.array(sorted(found), dtype=np.int64).reshape(-1, 2).T
    return Interactions.from_rows(USERS, ITEMS, users, items)


def _listed(user: int, row: list[float], seen: Cells, k: int) -> list[int]:
    unseen = [item for item in range(N_ITEMS) if (user, item) not in seen]
    return sorted(unseen, key=lambda item: (-row[item], item))[:k]


def _measured(listed: list[int], wanted: set[int], k: int) -> tuple[float, float]:
    gain = sum(1 / log2(place + 2) for place, item in enumerate(listed) if item in wanted)
    ideal = sum(1 / log2(place + 2) for place in range(min(k, len(wanted))))
    return len(wanted & set(listed)) / len(wanted), gain / ideal


@given(scores, cells, lengths)
def test_lists_equal_a_full_sort(found: list[list[float]], seen: Cells, k: int) -> None:
    lists = top_k(torch.tensor(found), _data(seen).by_user, k).tolist()
    assert [[item for item in row if item >= 0] for row in lists] == [
        _listed(user, row, seen, k) for user, row in enumerate(found)
    ]


@given(scores, cells, cells, lengths)
def test_accuracy_equals_counting(found: list[list[float]], seen: Cells, wanted: Cells, k: int) -> None:
    per_user = [
        _measured(_listed(user, row, seen, k), items, k)
        for user, row in enumerate(found)
        if (items := {item for wanting, item in wanted if wanting == user})
    ]
    measured = accuracy(lambda rows: torch.tensor(found)[rows], _data(seen), _data(wanted), [k])[k]
    expected = np.mean(per_user, axis=0) if per_user else (0.0, 0.0)
    assert (measured.recall, measured.ndcg) == pytest.approx(tuple(expected))
