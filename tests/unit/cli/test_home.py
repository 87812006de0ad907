"""The home folder: made once, claimed by one, refused where it cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import HomeInUse, HomeNotWritable
from cli.home import claimed, is_claimed, prepare


def test_a_home_is_made_with_secrets_that_only_their_owner_can_read(tmp_path: Path) -> None:
    home = prepare(tmp_path / "new" / "home")
    files = [path for path in home.secrets.iterdir() if path.is_file()]
    assert len(files) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in [home.secrets, *files])


def test_a_second_start_keeps_the_secrets_of_the_first(tmp_path: Path) -> None:
    first = {path: path.read_bytes() for path in prepare(tmp_path).secrets.iterdir() if path.is_file()}
    again = {path: path.read_bytes() for path in prepare(tmp_path).secrets.iterdir() if path.is_file()}
    assert again == first


def test_a_home_is_claimed_by_one_supervisor_at_a_time(tmp_path: Path) -> None:
    home = prepare(tmp_path)
    with claimed(home):
        assert is_claimed(home)
        with pytest.raises(HomeInUse, match="already running"), claimed(home):
            pass
    assert not is_claimed(home)
    with claimed(home):
        pass


def test_a_folder_that_cannot_be_written_is_refused_with_its_reason(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(HomeNotWritable, match="choose another folder with --home"):
        prepare(occupied / "home")


def test_no_home_is_claimed_where_there_is_none(tmp_path: Path) -> None:
    from cli.home import Home

    assert not is_claimed(Home(tmp_path / "nothing"))
