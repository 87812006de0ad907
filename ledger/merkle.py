"""The Merkle tree of RFC 6962, section 2.1: hashes, which hashes a proof is made of, and checking proofs.

Nothing is stored here. A range of leaves that is a whole subtree is named by a `Node`; whoever keeps the hashes of
whole subtrees can answer for any range with a handful of them, so that proofs need O(log n) hashes and no leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

LEAF = b"\x00"
NODE = b"\x01"
HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()

Range: TypeAlias = tuple[int, int]
"""Leaves from the first number to before the second."""


class Node(NamedTuple):
    """A whole subtree: the leaves from ``place << level`` to before ``(place + 1) << level``."""

    level: int
    place: int


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of a zero byte and the entry."""
    return hashlib.sha256(LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 of a one byte and its children's hashes."""
    return hashlib.sha256(NODE + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash of a tree over these leaf hashes."""
    if not leaves:
        return EMPTY
    hashes = grown({}, 0, leaves)
    return range_hash((0, len(leaves)), hashes)


def grown(hashes: Mapping[Node, bytes], size: int, leaves: Sequence[bytes]) -> dict[Node, bytes]:
    """The hashes of all whole subtrees that a tree of `size` leaves gains by these leaf hashes.

    Args:
        hashes: At least those of `whole_subtrees((0, size))`.
        size: Leaves before.
        leaves: Hashes of the leaves to append.
    """
    gained: dict[Node, bytes] = {}
    for index, leaf in enumerate(leaves, start=size):
        node, value = Node(0, index), leaf
        gained[node] = value
        while node.place % 2:
            left = Node(node.level, node.place - 1)
            value = node_hash(gained[left] if left in gained else hashes[left], value)
            node = Node(node.level + 1, node.place // 2)
            gained[node] = value
    return gained


def whole_subtrees(leaves: Range) -> list[Node]:
    """The largest whole subtrees that make up a range which a proof or a root is about, from left to right."""
    start, end = leaves
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(Node(level, start >> level))
        start += 1 << level
    return found


def range_hash(leaves: Range, hashes: Mapping[Node, bytes]) -> bytes:
    """The hash of a range from those of its whole subtrees; that of (0, n) is the root of n leaves."""
    if leaves[0] == leaves[1]:
        return EMPTY
    *rest, value = [hashes[node] for node in whole_subtrees(leaves)]
    for left in reversed(rest):
        value = node_hash(left, value)
    return value


def inclusion(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that leaf `index` is in a tree of `size` leaves (RFC 6962, 2.1.1).

    Raises:
        ValueError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency(first: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that a tree of `size` leaves begins with one of `first` (RFC 6962, 2.1.2).

    Raises:
        ValueError: `first` is not between 1 and `size`.
    """
    if not 1 <= first <= size:
        raise ValueError(f"no tree of {first} leaves begins one of {size}")
    ranges: list[Range] = []
    start, end = 0, size
    while first != end:
        middle = start + _largest_power_below(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start > 0:
        ranges.append((start, end))
    return ranges[::-1]


def needed(ranges: Iterable[Range]) -> set[Node]:
    """The whole subtrees whose hashes these ranges need."""
    return {node for leaves in ranges for node in whole_subtrees(leaves)}


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether the proof shows that a leaf hash stands at `index` of the tree with that root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node % 2 or node == last:
            value = node_hash(sibling, value)
            node, last = _past_lone_parents(node, last)
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root_hash


def is_consistent(first: int, size: int, first_root: bytes, root_hash: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree with `first_root` begins the one with `root_hash` (RFC 9162, 2.1.4.2)."""
    if not 1 <= first <= size:
        return False
    if first == size:
        return not proof and first_root == root_hash
    path = iter([first_root, *proof] if first & (first - 1) == 0 else proof)
    return _leads_to(path, first, size) == (first_root, root_hash)


def _leads_to(path: Iterator[bytes], first: int, size: int) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency proof leads to; None where it is too long or too short."""
    node, last = _past_right_edges(first - 1, size - 1)
    start = next(path, None)
    if start is None:
        return None
    old = new = start
    for sibling in path:
        if last == 0:
            return None
        if node % 2 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            node, last = _past_lone_parents(node, last)
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None


def _past_lone_parents(node: int, last: int) -> tuple[int, int]:
    """Go up while the node is a left child that has no sibling."""
    while node and not node % 2:
        node, last = node >> 1, last >> 1
    return node, last


def _past_right_edges(node: int, last: int) -> tuple[int, int]:
    """Go up while the node is a right child: the subtree it ends is whole in both trees."""
    while node % 2:
        node, last = node >> 1, last >> 1
    return node, last


def _largest_power_below(n: int) -> int:
    """The largest power of two smaller than `n`, which is at least 2."""
    return int(1 << ((n - 1).bit_length() - 1))
