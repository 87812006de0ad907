"""Every byte of a snapshot is covered by its digest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alteraser import snapshot
from alteraser.errors import SnapshotCorrupt
from alteraser.interactions import Interactions
from alteraser.manifest import MANIFEST
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot

FILES = (MANIFEST, snapshot.PARAMETERS, snapshot.INTERACTIONS, snapshot.USERS, snapshot.ITEMS)

ids = st.text(max_size=4)
logs = st.lists(st.tuples(ids, ids), max_size=12)
numbers = st.floats(allow_nan=False, width=64)


def _snapshot(pairs: list[tuple[str, str]], fill: float) -> Snapshot:
    data = Interactions.from_pairs([user for user, _ in pairs], [item for _, item in pairs])
    users, items = (torch.full((n, 3), fill, dtype=torch.float64) for n in (data.n_users, data.n_items))
    parameters = Parameters(users, items, torch.full((2,), fill, dtype=torch.float64))
    return Snapshot("wmf", {"d": 3}, parameters, data, watermark=1, parent=None, residual=0.5)


@contextmanager
def _written(pairs: list[tuple[str, str]], fill: float) -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory() as root:
        yield Path(root), snapshot.write(Path(root), _snapshot(pairs, fill))


@settings(max_examples=50)
@given(logs, numbers)
def test_reading_returns_what_was_written(pairs: list[tuple[str, str]], fill: float) -> None:
    with _written(pairs, fill) as (root, digest):
        found = snapshot.read(root, digest)
    assert found.interactions.digest() == _snapshot(pairs, fill).interactions.digest()
    assert torch.equal(found.parameters.users, _snapshot(pairs, fill).parameters.users)
    assert found.parameters.shared.tolist() == [fill, fill]


@settings(max_examples=100)
@given(st.sampled_from(FILES), st.data())
def test_a_flipped_bit_in_any_file_is_found(name: str, data: st.DataObject) -> None:
    with _written([("ann", "tea"), ("bob", "ale")], 0.25) as (root, digest):
        path = root / digest / name
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        with pytest.raises(SnapshotCorrupt) as damage:
            snapshot.read(root, digest)
    assert damage.value.file == name


@settings(max_examples=50)
@given(st.sampled_from(FILES), st.data())
def test_a_file_cut_short_is_found(name: str, data: st.DataObject) -> None:
    with _written([("ann", "tea"), ("bob", "ale")], 0.25) as (root, digest):
        content = (root / digest / name).read_bytes()
        (root / digest / name).write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        with pytest.raises(SnapshotCorrupt):
            snapshot.read(root, digest)
