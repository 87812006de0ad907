"""Whatever is written in a known form is read back as it was."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from alteraser.errors import MalformedLine
from alteraser.loaders import InteractionLog, load

Row = tuple[str, str, float, int]

int64s = st.integers(-(2**63), 2**63 - 1)
numerals = st.integers(0, 10**12).map(str)
printable = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"'), min_size=1, max_size=6)
finite = st.floats(allow_nan=False, allow_infinity=False)


def rows(ids: st.SearchStrategy[str]) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(ids, ids, finite, int64s), min_size=1, max_size=20)


def _loaded(name: str, write: Callable[[Path], None]) -> InteractionLog:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return load(Path(folder) / name)


def _rows(log: InteractionLog) -> list[Row]:
    assert log.ratings is not None
    assert log.times is not None
    return list(zip(log.users, log.items, log.ratings.tolist(), log.times.tolist(), strict=True))


def _text(found: list[Row], delimiter: str) -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in found)


@given(rows(numerals))
def test_u_data_round_trips(found: list[Row]) -> None:
    log = _loaded("u.data", lambda path: _write(path, _text(found, "\t")))
    assert _rows(log) == found


@given(rows(printable.filter(lambda id: "\t" not in id)))
def test_tab_separated_columns_round_trip(found: list[Row]) -> None:
    log = _loaded("a.tsv", lambda path: _write(path, "user\titem\trating\ttime\n" + _text(found, "\t")))
    assert _rows(log) == found


@given(rows(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)))
def test_comma_separated_columns_round_trip(found: list[Row]) -> None:
    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("user", "item", "rating", "time"), *found])

    assert _rows(_loaded("a.csv", write)) == found


@given(rows(st.text(min_size=1).filter(lambda id: "\0" not in id)))
def test_parquet_round_trips(found: list[Row]) -> None:
    users, items, ratings, times = zip(*found, strict=True)
    table = pa.table({"user": users, "item": items, "rating": ratings, "time": times})
    assert _rows(_loaded("a.parquet", lambda path: parquet.write_table(table, path))) == found


@given(st.dictionaries(numerals, st.lists(numerals, min_size=1, max_size=6), min_size=1, max_size=8))
def test_adjacency_round_trips(items_of: dict[str, list[str]]) -> None:
    text = "".join(f"{user} {' '.join(items)}\n" for user, items in items_of.items())
    log = _loaded("a.txt", lambda path: _write(path, text))
    expected = [(user, item) for user, items in items_of.items() for item in items]
    assert list(zip(log.users, log.items, strict=True)) == expected


@given(rows(numerals), st.sampled_from(["1\t2\t3\n", "1\t2\tthree\t4\n", "\t2\t3\t4\n", "1 2 3 4\n"]), st.data())
def test_a_malformed_line_is_found_wherever_it_stands(found: list[Row], malformed: str, data: st.DataObject) -> None:
    lines = _text(found, "\t").splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines)))
    lines.insert(place, malformed)
    with pytest.raises(MalformedLine) as refusal:
        _loaded("u.data", lambda path: _write(path, "".join(lines)))
    assert refusal.value.line_number == place + 1


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")
