"""Sequences of deletions are drawn without repetition, and in any batches are the same deletions."""

from __future__ import annotations

import pytest

from benchmarks.sequence import SEQUENCES, TooManyDeletions, all_of, batches, sequence
from tests.unit.alteraser.small_model import small_data


@pytest.mark.parametrize("word", SEQUENCES)
def test_no_two_deletions_forget_the_same_interaction(word: str) -> None:
    data = small_data()
    drawn = sequence(word, data, 12, seed=0)
    forgotten = [set(zip(*(rows.tolist() for rows in data.pairs_of(each)), strict=True)) for each in drawn]
    pairs_alone = [pairs for each, pairs in zip(drawn, forgotten, strict=True) if each.pairs]
    others: set[tuple[int, int]] = set().union(*(p for each, p in zip(drawn, forgotten, strict=True) if not each.pairs))
    assert len(drawn) == len(set(map(id, drawn))) == 12
    assert all(forgotten)
    assert all(len(pairs) == 1 for pairs in pairs_alone)
    assert len(set().union(*pairs_alone)) == len(pairs_alone)
    assert others.isdisjoint(set().union(*pairs_alone))


def test_a_mix_has_a_third_of_each() -> None:
    drawn = sequence("mix", small_data(), 14, seed=0)
    assert [sum(map(bool, kind)) for kind in zip(*((d.subjects, d.items, d.pairs) for d in drawn), strict=True)] == [
        5,
        5,
        4,
    ]


def test_the_same_seed_draws_the_same() -> None:
    data = small_data()
    assert sequence("mix", data, 9, seed=3) == sequence("mix", data, 9, seed=3)
    assert sequence("mix", data, 9, seed=3) != sequence("mix", data, 9, seed=4)


def test_a_longer_stream_of_users_begins_with_the_shorter() -> None:
    data = small_data()
    assert sequence("users", data, 20, seed=0)[:5] == sequence("users", data, 5, seed=0)


@pytest.mark.parametrize("size", [1, 5, 12, 100])
def test_batches_of_any_size_are_the_same_deletions(size: int) -> None:
    data = small_data()
    drawn = sequence("mix", data, 12, seed=0)
    grouped = list(batches(drawn, size))
    assert all_of(grouped) == all_of(drawn)
    assert len(grouped) == -(-12 // size)


def test_more_than_there_is_cannot_be_asked_for() -> None:
    data = small_data()
    with pytest.raises(TooManyDeletions) as caught:
        sequence("users", data, data.n_users, seed=0)
    assert caught.value.most == data.n_users // 2
