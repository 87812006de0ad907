"""Folders that are there whole or not at all, even where the writer is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alteraser import durable

KILLED_WHEN_A_FILE_REACHES_100_BYTES = """
import resource, signal, sys
from pathlib import Path
from alteraser import durable
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
durable.write_folder(Path(sys.argv[1]), {"small": b"x" * 10, "large": b"x" * 1000, "last": b"x"})
"""

FAILS_WHEN_A_FILE_REACHES_100_BYTES = KILLED_WHEN_A_FILE_REACHES_100_BYTES.replace("SIG_DFL", "SIG_IGN")


def _run(script: str, folder: Path) -> int:
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.run(
        command, capture_output=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ).returncode


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_is_written_with_all_its_files(tmp_path: Path) -> None:
    assert durable.write_folder(tmp_path / "new" / "f", {"a": b"1", "b": b""})
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "f").iterdir()} == {
        "a": b"1",
        "b": b"",
    }
    assert _names(tmp_path / "new") == {"f"}


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    durable.write_folder(tmp_path / "f", {"a": b"1"})
    assert not durable.write_folder(tmp_path / "f", {"a": b"2"})
    assert (tmp_path / "f" / "a").read_bytes() == b"1"
    assert _names(tmp_path) == {"f"}


def test_a_killed_writer_leaves_no_folder_but_what_the_sweep_removes(tmp_path: Path) -> None:
    assert _run(KILLED_WHEN_A_FILE_REACHES_100_BYTES, tmp_path / "f") == -signal.SIGXFSZ
    (leftover,) = _names(tmp_path)
    assert leftover.startswith(durable.WRITING)
    assert durable.sweep(tmp_path, untouched_s=-60) == 1
    assert _names(tmp_path) == set()


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    assert _run(FAILS_WHEN_A_FILE_REACHES_100_BYTES, tmp_path / "f") == 1
    assert _names(tmp_path) == set()


def test_a_name_taken_by_a_file_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        durable.write_folder(tmp_path / "f", {"a": b"1"})
    assert _names(tmp_path) == {"f"}


def test_what_is_still_in_use_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / f"{durable.WRITING}1").mkdir()
    durable.write_folder(tmp_path / "f", {"a": b"1"})
    assert durable.sweep(tmp_path, untouched_s=60) == 0
    assert len(_names(tmp_path)) == 2


def test_a_writer_that_was_swept_away_cannot_go_on_into_half_a_folder(tmp_path: Path) -> None:
    def swept_in_between() -> Iterator[tuple[str, bytes]]:
        yield "a", b"1"
        assert durable.sweep(tmp_path, untouched_s=-60) == 1
        yield "b", b"2"

    class Swept(dict[str, bytes]):
        def items(self) -> Any:
            return swept_in_between()

    with pytest.raises(FileNotFoundError):
        durable.write_folder(tmp_path / "f", Swept())
    assert _names(tmp_path) == set()


def test_sweeping_a_missing_folder_finds_nothing(tmp_path: Path) -> None:
    assert durable.sweep(tmp_path / "none", untouched_s=0) == 0


def test_a_removed_folder_is_gone_and_removing_it_again_is_no_error(tmp_path: Path) -> None:
    durable.write_folder(tmp_path / "f", {"a": b"1"})
    assert durable.remove_folder(tmp_path / "f")
    assert durable.remove_folder(tmp_path / "f")
    assert _names(tmp_path) == set()


def test_an_interrupted_removal_is_completed(tmp_path: Path) -> None:
    durable.write_folder(tmp_path / "f", {"a": b"1"})
    (tmp_path / "f").rename(tmp_path / f"{durable.DESTROYED}f")
    durable.write_folder(tmp_path / "f", {"a": b"1"})
    assert durable.remove_folder(tmp_path / "f")
    assert _names(tmp_path) == set()


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    durable.write_folder(tmp_path / "f", {"a": b"1"})
    (tmp_path / f"{durable.DESTROYED}f").write_bytes(b"in the way")
    assert not durable.remove_folder(tmp_path / "f")
