"""A planted needle is found however it is written down, and a clean folder has none."""

from __future__ import annotations

import base64
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.needles import Needle, inflated, nearest_cosine, of_text, of_vector, searched

ID = "canary-user-5f0c"
VECTOR = np.random.default_rng(0).normal(size=7)


def noise(size: int) -> bytes:
    return np.random.default_rng(1).bytes(size)


def found(folder: Path, needles: list[Needle]) -> set[tuple[str, str, int]]:
    return {(str(find.path), find.encoding, find.times) for find in searched(folder, needles)}


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        (str.encode, "plain"),
        (lambda text: text.encode("utf-16-le"), "UTF-16-LE"),
        (lambda text: text.encode("utf-16-be"), "UTF-16-BE"),
        (lambda text: text.encode().hex().encode(), "hex"),
        (lambda text: text.encode().hex().upper().encode(), "HEX"),
        (lambda text: zlib.compress(text.encode()), "plain, compressed"),
        (lambda text: zlib.compress(text.encode(), level=1), "plain, compressed"),
        (lambda text: gzip.compress(text.encode()), "plain, compressed"),
        (lambda text: gzip.compress(zlib.compress(text.encode())), "plain, compressed"),
        (lambda text: gzip.compress(text.encode("utf-16-le")), "UTF-16-LE, compressed"),
        (lambda text: zlib.compress(text.encode() * 3)[:-6], "plain, compressed"),
    ],
)
def test_an_id_is_found_amid_noise(tmp_path: Path, written: Callable[[str], bytes], encoding: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.bin").write_bytes(noise(10_000) + written(ID) + noise(10_000))
    finds = searched(tmp_path, of_text("id", ID))
    assert [(str(find.path), find.what, find.encoding) for find in finds] == [("deep/file.bin", "id", encoding)]


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_an_id_is_found_in_base64_whatever_stands_around_it(tmp_path: Path, before: int, after: int) -> None:
    (tmp_path / "file").write_bytes(base64.b64encode(b"x" * before + ID.encode() + b"y" * after))
    assert found(tmp_path, of_text("id", ID)) == {("file", "base64", 1)}


@pytest.mark.parametrize("type_", ["float64", "float32"])
def test_part_of_a_vector_is_found(tmp_path: Path, type_: str) -> None:
    (tmp_path / "file").write_bytes(noise(99) + VECTOR[2:6].astype(type_).tobytes() + noise(5))
    assert found(tmp_path, of_vector("row", VECTOR)) == {("file", type_, 2)}


def test_coordinates_that_are_zero_are_no_needle() -> None:
    assert not of_vector("row", np.zeros(8))


def test_every_occurrence_counts(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{ID} came, {ID} went\n")
    assert found(tmp_path, of_text("id", ID)) == {("log", "plain", 2)}


def test_a_clean_folder_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(noise(1_000_000))
    (tmp_path / "other").write_text("canary-user-5f0d\n")
    (tmp_path / "empty").touch()
    assert not searched(tmp_path, [*of_text("id", ID), *of_vector("row", VECTOR)])


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(ID)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    os.mkfifo(inside / "pipe")
    assert not searched(inside, of_text("id", ID))


def test_a_broken_stream_is_read_as_far_as_it_goes() -> None:
    stream = bytearray(zlib.compress(noise(60_000), level=0))
    held = next(inflated(bytes(stream[:40_000])))
    assert noise(60_000).startswith(held)
    assert len(held) > 30_000


def test_the_nearest_row_is_the_one_that_points_the_same_way() -> None:
    rows = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert nearest_cosine(rows, np.array([-2.0, -2.0])) == pytest.approx(1.0)
    assert nearest_cosine(rows, np.array([0.0, 3.0])) == pytest.approx(0.5**0.5)
    assert nearest_cosine(rows, np.array([1.0, 2.0, 3.0])) == 0.0
    assert nearest_cosine(rows[:0], np.array([1.0, 2.0])) == 0.0
