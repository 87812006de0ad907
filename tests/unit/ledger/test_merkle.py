"""The tree is that of RFC 6962: published vectors, and the RFC's own recursive definitions at every size up to 130."""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.merkle import Range

MOST = 130

# The vectors of the Certificate Transparency reference implementation (its tests' merkle_test.py).
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CONSISTENT = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
# An audit path of a real log of 3,630,887 certificates, from the same tests.
REAL_LEAF, REAL_INDEX, REAL_SIZE = (
    "7a395c866d5ecdb0cccb623e011dbc392cd348d1d1d72776174e127a24b09c78",
    848_049,
    3_630_887,
)
REAL_ROOT = "78316a05c9bcf14a3a4548f5b854a9adfcd46a4c034401b3ce7eb7ac2f1d0ecb"
REAL_PATH = [
    "1a208aeebcd1b39fe2de247ee8db9454e1e93a312d206b87f6ca9cc6ec6f1ddd",
    "0a1b78b383f580856f433c01a5741e160d451c185910027f6cc9f828687a40c4",
    "3d1745789bc63f2da15850de1c12a5bf46ed81e1cc90f086148b1662e79aab3d",
    "9095b61e14d8990acf390905621e62b1714fb8e399fbb71de5510e0aef45affe",
    "0a332b91b8fab564e6afd1dd452449e04619b18accc0ff9aa8393cd4928451f2",
    "2336f0181d264aed6d8f3a6507ca14a8d3b3c3a23791ac263e845d208c1ee330",
    "b4ce56e300590500360c146c6452edbede25d4ed83919278749ee5dbe178e048",
    "933f6ddc848ea562e4f9c5cfb5f176941301dad0c6fdb9d1fbbe34fac1be6966",
    "b95a6222958a86f74c030be27c44f57dbe313e5e7c7f4ffb98bcbd3a03bb52f2",
    "daeeb3ce5923defd0faeb8e0c210b753b85b809445d7d3d3cd537a9aabaa9c45",
    "7fadd0a13e9138a2aa6c3fdec4e2275af233b94812784f66bcca9aa8e989f2bc",
    "1864e6ba3e32878610546539734fb5eeae2529991f130c575c73a7e25a2a7c56",
    "12842d1202b1dc6828a17ab253c02e7ce9409b5192430feba44189f39cc02d66",
    "29af64b16fa3053c13d02ac63aa75b23aa468506e44c3a2315edc85d2dc22b11",
    "b527b99934a0bd9edd154e449b0502e2c499bba783f3bc3dfe23364b6b532009",
    "4584db8ae8e351ace08e01f306378a92bfd43611714814f3d834a2842d69faa8",
    "86a9a41573b0d6e4292f01e93243d6cc65b30f06606fc6fa57390e7e90ed580f",
    "a88b98fbe84d4c6aae8db9d1605dfac059d9f03fe0fcb0d5dff1295dacba09e6",
    "06326dc617a6d1f7021dc536026dbfd5fffc6f7c5531d48ef6ccd1ed1569f2a1",
    "f41fe8fdc3a2e4e8345e30216e7ebecffee26ff266eeced208a6c2a3cf08f960",
    "40cf5bde8abb76983f3e98ba97aa36240402975674e120f234b3448911090f8d",
    "b3222dc8658538079883d980d7fdc2bef9285344ea34338968f736b04aeb387a",
]


def hashed(*entries: str) -> list[bytes]:
    return [merkle.leaf_hash(bytes.fromhex(entry)) for entry in entries]


def power_below(n: int) -> int:
    return max(1 << k for k in range(n.bit_length()) if 1 << k < n)


@cache
def slow_root(leaves: tuple[bytes, ...]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = power_below(len(leaves))
    return hashlib.sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def slow_path(m: int, leaves: tuple[bytes, ...]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = power_below(len(leaves))
    if m < k:
        return [*slow_path(m, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(m - k, leaves[k:]), slow_root(leaves[:k])]


def slow_subproof(m: int, leaves: tuple[bytes, ...], whole: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [slow_root(leaves)]
    k = power_below(len(leaves))
    if m <= k:
        return [*slow_subproof(m, leaves[:k], whole), slow_root(leaves[k:])]
    return [*slow_subproof(m - k, leaves[k:], False), slow_root(leaves[:k])]


LEAVES = tuple(merkle.leaf_hash(str(n).encode()) for n in range(MOST))
STORED = merkle.grown({}, 0, LEAVES)


def proof_of(ranges: list[Range]) -> list[bytes]:
    return [merkle.range_hash(leaves, STORED) for leaves in ranges]


def test_the_hash_of_nothing_and_of_nodes_is_the_published_one() -> None:
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    left, right = bytes(range(32)), bytes(range(32, 64))
    assert merkle.node_hash(left, right).hex() == "1a378704c17da31e2d05b6d121c2bb2c7d76f6ee6fa8f983e596c2d034963c57"


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_implementation(size: int) -> None:
    assert merkle.root(hashed(*INPUTS[:size])).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("sizes", "published"), CONSISTENT.items())
def test_consistency_proofs_are_those_of_the_reference_implementation(
    sizes: tuple[int, int], published: list[str]
) -> None:
    first, size = sizes
    stored = merkle.grown({}, 0, hashed(*INPUTS[:size]))
    proof = [merkle.range_hash(leaves, stored) for leaves in merkle.consistency(first, size)]
    assert [each.hex() for each in proof] == published
    roots = bytes.fromhex(ROOTS[first - 1]), bytes.fromhex(ROOTS[size - 1])
    assert merkle.is_consistent(first, size, *roots, proof)


def test_an_audit_path_of_a_real_log_is_accepted() -> None:
    path = [bytes.fromhex(each) for each in REAL_PATH]
    leaf, root = bytes.fromhex(REAL_LEAF), bytes.fromhex(REAL_ROOT)
    assert merkle.is_included(leaf, REAL_INDEX, REAL_SIZE, path, root)
    assert not merkle.is_included(leaf, REAL_INDEX + 1, REAL_SIZE, path, root)


@pytest.mark.parametrize("size", range(MOST + 1))
def test_roots_and_inclusion_proofs_of_every_leaf_are_those_of_the_definition(size: int) -> None:
    leaves = LEAVES[:size]
    root = slow_root(leaves)
    assert merkle.root(leaves) == merkle.range_hash((0, size), STORED) == root
    for index in range(size):
        proof = proof_of(merkle.inclusion(index, size))
        assert proof == slow_path(index, leaves)
        assert merkle.is_included(leaves[index], index, size, proof, root)


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_consistency_proofs_with_every_earlier_size_are_those_of_the_definition(size: int) -> None:
    root = slow_root(LEAVES[:size])
    for first in range(1, size + 1):
        proof = proof_of(merkle.consistency(first, size))
        assert proof == slow_subproof(first, LEAVES[:size], True)
        assert merkle.is_consistent(first, size, slow_root(LEAVES[:first]), root, proof)


def one_bit_off(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(dice=st.data(), size=st.integers(1, MOST), bit=st.integers(0, 255))
@settings(deadline=None, max_examples=200)
def test_a_proof_with_anything_changed_is_refused(dice: st.DataObject, size: int, bit: int) -> None:
    index = dice.draw(st.integers(0, size - 1))
    leaf, root = LEAVES[index], merkle.root(LEAVES[:size])
    proof = proof_of(merkle.inclusion(index, size))
    assert not merkle.is_included(one_bit_off(leaf, bit), index, size, proof, root)
    assert not merkle.is_included(leaf, index, size, proof, one_bit_off(root, bit))
    assert not merkle.is_included(leaf, index, size, [*proof, root], root)
    other = dice.draw(st.integers(0, size).filter(lambda n: n != index))
    assert not merkle.is_included(leaf, other, size, proof, root)
    for k in range(len(proof)):
        assert not merkle.is_included(leaf, index, size, proof[:k] + proof[k + 1 :], root)
        assert not merkle.is_included(
            leaf, index, size, [*proof[:k], one_bit_off(proof[k], bit), *proof[k + 1 :]], root
        )


@given(dice=st.data(), size=st.integers(2, MOST), bit=st.integers(0, 255))
@settings(deadline=None, max_examples=200)
def test_a_rewritten_history_has_no_consistency_proof(dice: st.DataObject, size: int, bit: int) -> None:
    first = dice.draw(st.integers(1, size))
    old, new = merkle.root(LEAVES[:first]), merkle.root(LEAVES[:size])
    proof = proof_of(merkle.consistency(first, size))
    assert not merkle.is_consistent(first, size, one_bit_off(old, bit), new, proof)
    assert not merkle.is_consistent(first, size, old, one_bit_off(new, bit), proof)
    assert not merkle.is_consistent(first, size, old, new, [*proof, new])
    for k in range(len(proof)):
        assert not merkle.is_consistent(first, size, old, new, proof[:k] + proof[k + 1 :])
    assert not merkle.is_consistent(size + 1, size, old, new, proof)
    assert not merkle.is_consistent(0, size, old, new, proof)


@given(cuts=st.lists(st.integers(0, MOST), max_size=6))
@settings(deadline=None, max_examples=100)
def test_growing_in_pieces_gives_the_same_tree(cuts: list[int]) -> None:
    hashes: dict[merkle.Node, bytes] = {}
    borders = sorted({0, *cuts, MOST})
    for start, end in pairwise(borders):
        edge = {node: hashes[node] for node in merkle.whole_subtrees((0, start))}
        hashes |= merkle.grown(edge, start, LEAVES[start:end])
    assert hashes == STORED


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion(index, size)


@pytest.mark.parametrize(("first", "size"), [(0, 3), (4, 3), (-1, 3)])
def test_there_is_no_consistency_with_what_is_no_beginning(first: int, size: int) -> None:
    with pytest.raises(ValueError, match="begins"):
        merkle.consistency(first, size)


def test_a_proof_needs_few_hashes_however_large_the_tree() -> None:
    size = 10_000_019
    needed = merkle.needed([*merkle.inclusion(1_234_567, size), *merkle.consistency(7_654_321, size)])
    assert len(needed) < 4 * size.bit_length()
