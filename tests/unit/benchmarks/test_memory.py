"""Resident memory: what is there, and what was."""

from __future__ import annotations

import numpy as np

from benchmarks import memory

SIZE = 64 << 20


def test_the_peak_remembers_what_was_freed_until_it_is_told_to_forget() -> None:
    memory.forget_peak()
    before = memory.resident_bytes()
    array = np.ones(SIZE, dtype=np.uint8)
    assert memory.resident_bytes() > before + 0.9 * array.nbytes
    del array
    assert memory.resident_bytes() < before + 0.5 * SIZE
    assert memory.peak_bytes() > before + 0.9 * SIZE
    memory.forget_peak()
    assert memory.peak_bytes() < before + 0.5 * SIZE
