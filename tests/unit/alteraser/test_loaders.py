"""Loading data: every known form, and a clear refusal of every unknown or broken one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from alteraser.errors import (
    DataError,
    EmptyFile,
    MalformedLine,
    MissingColumn,
    NoSuchData,
    UnknownLayout,
    UnreadableFile,
)
from alteraser.loaders import Columns, InteractionLog, load, load_split

IDENTITY = "ann@example.org"


def _file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _rows(log: InteractionLog) -> list[tuple[str, str]]:
    return list(zip(log.users.tolist(), log.items.tolist(), strict=True))


def _ratings(log: InteractionLog) -> list[float] | None:
    return None if log.ratings is None else log.ratings.tolist()


def _times(log: InteractionLog) -> list[int] | None:
    return None if log.times is None else log.times.tolist()


def _refusal(path: Path, columns: Columns | None = None) -> DataError:
    with pytest.raises(DataError) as refusal:
        load(path, columns=columns)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    return refusal.value


# Known forms


def test_u_data_is_four_tab_separated_columns_without_a_header(tmp_path: Path) -> None:
    log = load(_file(tmp_path, "u.data", "196\t242\t3\t881250949\n186\t302\t4\t891717742\n"))
    assert _rows(log) == [("196", "242"), ("186", "302")]
    assert (_ratings(log), _times(log)) == ([3, 4], [881250949, 891717742])


def test_u_data_is_recognised_under_another_name(tmp_path: Path) -> None:
    assert len(load(_file(tmp_path, "ratings.txt", "196\t242\t3\t881250949\n"))) == 1


@pytest.mark.parametrize(
    ("header", "has_rating", "has_time"),
    [
        ("user\titem\trating\torder", True, True),
        ("uid\tsid", False, False),
        ("user_id,item_id,rating,timestamp", True, True),
        ("userId,movieId,rating,timestamp", True, True),
        ("time,USER,label,Item_ID", False, True),
        ('"uid","iid","val"', False, False),
    ],
)
def test_columns_are_found_by_their_usual_names(tmp_path: Path, header: str, has_rating: bool, has_time: bool) -> None:
    delimiter = "\t" if "\t" in header else ","
    values = {"label": "x", "val": "x"}
    row = delimiter.join(values.get(name.strip('"'), "7") for name in header.split(delimiter))
    log = load(_file(tmp_path, "data", f"{header}\n{row}\n"))
    assert _rows(log) == [("7", "7")]
    assert (_ratings(log), _times(log)) == ([7] if has_rating else None, [7] if has_time else None)


def test_columns_of_other_names_can_be_named(tmp_path: Path) -> None:
    path = _file(tmp_path, "clicks.csv", "customer,sku,stars,at\nann,tea,4.5,12\n")
    log = load(path, columns=Columns(user="customer", item="sku", rating="stars", time="at"))
    assert (_rows(log), _ratings(log), _times(log)) == ([("ann", "tea")], [4.5], [12])


def test_a_named_column_is_taken_before_a_usual_one(tmp_path: Path) -> None:
    path = _file(tmp_path, "clicks.csv", "user,item,buyer\nann,tea,bob\n")
    assert _rows(load(path, columns=Columns(user="buyer"))) == [("bob", "tea")]


def test_quotes_mean_something_beside_commas_only(tmp_path: Path) -> None:
    commas = _file(tmp_path, "a.csv", 'user,item\n"ann, the first",tea\n')
    tabs = _file(tmp_path, "a.tsv", 'user\titem\n"ann\ttea"\n')
    assert _rows(load(commas)) == [("ann, the first", "tea")]
    assert _rows(load(tabs)) == [('"ann', 'tea"')]


def test_byte_order_mark_carriage_returns_and_blank_lines_are_no_content(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "\ufeffuser,item\r\nann,tea\r\n\r\nbob,ale\r\n\r\n")
    assert _rows(load(path)) == [("ann", "tea"), ("bob", "ale")]


def test_ids_are_kept_as_they_are_written(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "user,item\n007,1e3\nNA,null\nZoë,nan\n")
    assert _rows(load(path)) == [("007", "1e3"), ("NA", "null"), ("Zoë", "nan")]


def test_adjacency_lists_a_user_and_their_items(tmp_path: Path) -> None:
    log = load(_file(tmp_path, "train.txt", "0 5 6 7\n3\n\n12 5 \n"))
    assert _rows(log) == [("0", "5"), ("0", "6"), ("0", "7"), ("12", "5")]
    assert (log.ratings, log.times) == (None, None)


def test_equal_ids_are_one_string(tmp_path: Path) -> None:
    for name, content in {"a.csv": "user,item\nann,tea\nann,ale\n", "a.txt": "1234 500 600\n"}.items():
        log = load(_file(tmp_path, name, content))
        assert log.users[0] is log.users[1]


def test_the_text_of_a_log_tells_no_id(tmp_path: Path) -> None:
    assert repr(load(_file(tmp_path, "a.csv", f"user,item\n{IDENTITY},tea\n"))) == "InteractionLog(1 rows)"


def test_parquet_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    table = pa.table({"rating": [4, 5], "item_id": [7, 8], "userId": ["ann", "bob"], "timestamp": [1, 2]})
    for name in ("a.parquet", "part-0"):
        parquet.write_table(table, tmp_path / name)
        log = load(tmp_path / name)
        assert _rows(log) == [("ann", "7"), ("bob", "8")]
        assert (_ratings(log), _times(log)) == ([4, 5], [1, 2])


def test_parquet_timestamps_become_unix_seconds_and_dictionaries_strings(tmp_path: Path) -> None:
    columns = {
        "user": pa.array(["ann", "bob", "ann"]).dictionary_encode(),
        "item": pa.array([1, 2, 3], pa.uint8()).dictionary_encode(),
        "time": pa.array([1_500, 2_000, 0], pa.timestamp("ms", "UTC")),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    log = load(tmp_path / "a.parquet")
    assert _rows(log) == [("ann", "1"), ("bob", "2"), ("ann", "3")]
    assert _times(log) == [1, 2, 0]


# Folders


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.data", "1\t2\t3\t4\n"),
        ("ratings.tsv", "user\titem\n1\t2\n"),
        ("ratings.csv", "userId,movieId\n1,2\n"),
        ("train.txt", "1 2\n"),
        ("train.csv", "uid,iid\n1,2\n"),
    ],
)
def test_a_folder_with_a_known_file_is_accepted(tmp_path: Path, name: str, content: str) -> None:
    _file(tmp_path, name, content)
    assert _rows(load(tmp_path)) == [("1", "2")]


def test_all_parts_of_a_folder_are_data(tmp_path: Path) -> None:
    for number, part in enumerate(("train.txt", "valid.txt", "test.txt")):
        _file(tmp_path, part, f"1 {number}\n")
    assert _rows(load(tmp_path)) == [("1", "0"), ("1", "1"), ("1", "2")]


def test_ratings_of_parts_are_kept_where_every_part_has_them(tmp_path: Path) -> None:
    _file(tmp_path, "train.csv", "user,item,rating\n1,2,5\n")
    _file(tmp_path, "test.csv", "user,item,rating\n1,3,4\n")
    assert _ratings(load(tmp_path)) == [5, 4]
    _file(tmp_path, "test.csv", "user,item\n1,3\n")
    assert _ratings(load(tmp_path)) is None


def test_a_split_maps_the_test_part_to_the_training_vocabulary(tmp_path: Path) -> None:
    _file(tmp_path, "train.txt", "1 10 11\n2 12\n")
    _file(tmp_path, "valid.txt", "1 13\n")
    _file(tmp_path, "test.txt", "1 12 99\n7 10\n2 11 10\n")
    split = load_split(tmp_path)
    assert split.test is not None
    assert (split.test.users, split.test.items) == (split.train.users, split.train.items)
    assert [split.test.items_of(user) for user in "12"] == [["12"], ["10", "11"]]
    assert split.n_test_dropped == 2
    assert len(split.train) == 3


def test_data_without_a_test_part_is_all_training(tmp_path: Path) -> None:
    split = load_split(_file(tmp_path, "u.data", "1\t2\t3\t4\n"))
    assert (len(split.train), split.test, split.n_test_dropped) == (1, None, 0)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    _file(tmp_path, "notes.md", "hello")
    for read in (load, load_split):
        with pytest.raises(UnknownLayout, match=r"u\.data, ratings\.tsv"):
            read(tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for read in (load, load_split):
        with pytest.raises(NoSuchData):
            read(tmp_path / "none")


# Malformed lines


@pytest.mark.parametrize(
    ("name", "content", "line_number", "reason"),
    [
        ("u.data", "1\t2\t3\t4\n1\t2\t3\n", 2, "expected 4 fields separated by tabs, found 3"),
        ("u.data", "1\t2\t3\t4\n1\t2\t3\t4\t5\n", 2, "expected 4 fields separated by tabs, found 5"),
        ("u.data", "1,2,3,4\n", 1, "expected 4 fields separated by tabs, found 1"),
        ("u.data", "1 2 3 4\n", 1, "expected 4 fields separated by tabs, found 1"),
        ("u.data", f"1\t2\t{IDENTITY}\t4\n", 1, "the rating is not a finite number"),
        ("u.data", "1\t2\t3\t4\n\n1\t2\t3\t4.5\n", 3, "the time is not a whole number"),
        ("u.data", "1\t2\t3\t4\n1\t2\t3\t99999999999999999999\n", 2, "the time is not a whole number"),
        ("a.tsv", "user\titem\n1\t2\n1,2\n", 3, "expected 2 fields separated by tabs, found 1"),
        (
            "a.csv",
            f"user,item,rating\n{IDENTITY},2,5\n{IDENTITY},2,five\n",
            3,
            "the rating is not a finite number",
        ),
        ("a.csv", "user,item,rating\n1,2,\n", 2, "the rating is not a finite number"),
        ("a.csv", "user,item,rating\n1,2,nan\n", 2, "the rating is not a finite number"),
        ("a.csv", "user,item,rating\n1,2,inf\n", 2, "the rating is not a finite number"),
        ("a.csv", f"user,item\n1,2\n,{IDENTITY}\n", 3, "the user is empty, longer than 256 characters or holds a NUL"),
        ("a.csv", f"user,item\n{IDENTITY},\n", 2, "the item is empty, longer than 256 characters or holds a NUL"),
        ("a.csv", f"user,item\n{'u' * 257},2\n", 2, "the user is empty, longer than 256 characters or holds a NUL"),
        ("a.csv", "user,item\n1,2\0\n", 2, "the item is empty, longer than 256 characters or holds a NUL"),
        ("a.csv", b"user,item\n1,2\n\xff,3\n", 3, "not UTF-8"),
        ("a.csv", 'user,item\n"1,2\n', 2, "its quotes do not match"),
        ("a.txt", f"1 2 3\n2 {IDENTITY}\n", 2, "expected whole numbers separated by spaces"),
        ("a.txt", "1 2 3\n2,4,5\n", 2, "expected whole numbers separated by spaces"),
        ("a.txt", "1 2 3\n2 ²\n", 2, "expected whole numbers separated by spaces"),
        ("a.txt", "1 2 3\n2 -1\n", 2, "expected whole numbers separated by spaces"),
        ("a.txt", "1 242 3 881250949\n2 5 1 881250949\n1 7 3 8\n", 3, "its user had a line before"),
    ],
)
def test_a_malformed_line_is_reported_with_its_number_and_without_its_content(
    tmp_path: Path, name: str, content: str | bytes, line_number: int, reason: str
) -> None:
    path = _file(tmp_path, name, content)
    refusal = _refusal(path)
    assert isinstance(refusal, MalformedLine)
    assert (refusal.path, refusal.line_number) == (path, line_number)
    assert refusal.reason.startswith(reason)
    assert IDENTITY not in str(refusal)


def test_a_malformed_line_far_into_a_file_is_found(tmp_path: Path) -> None:
    lines = [f"{k % 97}\t{k}\t5\t{k}" for k in range(120_000)]
    lines[100_000] = "1\t2\tfive\t3"
    refusal = _refusal(_file(tmp_path, "u.data", "\n".join(lines)))
    assert isinstance(refusal, MalformedLine)
    assert refusal.line_number == 100_001


@pytest.mark.parametrize("name", ["u.data", "a.csv", "a.txt", "a.tsv"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    assert isinstance(_refusal(_file(tmp_path, name, "")), EmptyFile)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "user,item\n"), ("a.csv", "user,item"), ("a.tsv", "user\titem\n\n"), ("a.txt", "1\n2\n")],
)
def test_a_file_without_one_interaction_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert isinstance(_refusal(_file(tmp_path, name, content)), EmptyFile)


@pytest.mark.parametrize(
    ("header", "columns", "role"),
    [
        ("name,item", None, "user"),
        ("user,thing", None, "item"),
        ("user,item", Columns(rating="stars"), "rating"),
        ("user,item", Columns(user="customer"), "user"),
        (f"{IDENTITY},tea", None, "user"),
    ],
)
def test_a_missing_column_is_told_by_its_role(tmp_path: Path, header: str, columns: Columns | None, role: str) -> None:
    refusal = _refusal(_file(tmp_path, "a.csv", f"{header}\n1,2\n"), columns)
    assert isinstance(refusal, MissingColumn)
    assert refusal.role == role
    assert IDENTITY not in str(refusal)


@pytest.mark.parametrize("first_line", ["user;item;rating", "user item rating", "1::1193::5::978300760", ""])
def test_an_unknown_delimiter_is_refused(tmp_path: Path, first_line: str) -> None:
    refusal = _refusal(_file(tmp_path, "a.csv", f"{first_line}\n1\n"))
    assert isinstance(refusal, UnknownLayout)
    assert "separated by tabs or commas" in str(refusal)


# Parquet


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"user": ["ann", None], "item": [1, 2]}, "line 2: the user is missing"),
        ({"user": ["ann", "bob"], "item": [1, None]}, "line 2: the item is missing"),
        ({"user": ["ann", ""], "item": [1, 2]}, "line 2: the user is empty"),
        ({"user": [1.5, 2.0], "item": [1, 2]}, "the user column holds neither strings nor whole numbers"),
        ({"user": [1, 2], "item": [1, 2], "rating": ["5", "4"]}, "the rating column does not hold numbers"),
        (
            {"user": [1, 2], "item": [1, 2], "rating": [5.0, float("nan")]},
            "line 2: the rating is not a finite number",
        ),
        ({"user": [1, 2], "item": [1, 2], "time": ["a", "b"]}, "the time column holds neither timestamps"),
        ({"user": [1, 2], "item": [1, 2], "time": pa.array([1, 2**64 - 1], pa.uint64())}, "beyond 64 bits"),
        ({"name": [1, 2], "item": [1, 2]}, "names no column for the user"),
        ({"user": pa.array([], pa.string()), "item": pa.array([], pa.string())}, "holds no interaction"),
    ],
)
def test_a_parquet_file_that_cannot_be_used_says_why(tmp_path: Path, columns: dict[str, object], reason: str) -> None:
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert reason in str(_refusal(tmp_path / "a.parquet"))


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1 and then something else PAR1", b"user,item\n1,2\n"])
def test_a_broken_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    assert isinstance(_refusal(_file(tmp_path, "a.parquet", content)), UnreadableFile)
