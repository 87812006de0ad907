"""Where the demo's data comes from."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli import datasets
from cli.datasets import dataset
from cli.errors import DatasetMissing


class Impostor(http.server.BaseHTTPRequestHandler):
    """Answers every GET with something that is not MovieLens."""

    def do_GET(self) -> None:
        """Send a page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"please log in to this network")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def impostor() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ml-100k.zip"
        server.shutdown()


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=200)


def small_ml_100k(folder: Path) -> Path:
    (folder / "ml-100k").mkdir()
    (folder / "ml-100k" / "u.data").write_text("1\t50\t5\t881250949\n2\t172\t4\t881250950\n")
    (folder / "ml-100k" / "u.item").write_bytes("50|Star Wars (1977)|1977\n172|Am\xe9lie|2001\n".encode("latin-1"))
    return folder


def test_a_data_folder_is_read_with_titles(tmp_path: Path, console: Console) -> None:
    read = dataset(console, "ml-100k", data_dir=small_ml_100k(tmp_path), downloads=tmp_path / "unused")
    assert list(read.log.users) == ["1", "2"]
    assert read.titles == {"50": "Star Wars (1977)", "172": "Amélie"}


def test_a_data_folder_without_the_data_is_an_error_that_names_the_file(tmp_path: Path, console: Console) -> None:
    with pytest.raises(DatasetMissing, match=r"ml-1m/ratings\.tsv is missing"):
        dataset(console, "ml-1m", data_dir=tmp_path, downloads=tmp_path)


def test_only_the_small_dataset_is_downloaded(tmp_path: Path, console: Console) -> None:
    with pytest.raises(DatasetMissing, match="set ALTERASER_DATA_DIR"):
        dataset(console, "ml-1m", data_dir=None, downloads=tmp_path)


def test_a_download_that_is_something_else_is_not_used(
    impostor: str, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "DOWNLOAD_URL", impostor)
    made = dataset(console, "ml-100k", data_dir=None, downloads=tmp_path)
    assert made.label == "synthetic data"
    assert "sha256" in console.export_text(clear=False)
    assert not list(tmp_path.iterdir())


def test_without_a_network_synthetic_data_is_made_and_said_to_be(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "DOWNLOAD_URL", "http://127.0.0.1:1/ml-100k.zip")
    made = dataset(console, "ml-100k", data_dir=None, downloads=tmp_path)
    assert len(made.log) == datasets.SYNTHETIC_SIZE["n_interactions"]
    assert "synthetic" in console.export_text()
    assert all(item in made.titles for item in made.log.items)


def test_a_download_that_is_there_is_not_fetched_again(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "DOWNLOAD_URL", "http://127.0.0.1:1/ml-100k.zip")
    (small_ml_100k(tmp_path) / "ml-100k" / "README").touch()
    assert dataset(console, "ml-100k", data_dir=None, downloads=tmp_path).label == "MovieLens-100K"


def test_the_published_file_is_what_the_data_folder_holds(ml_100k: Path) -> None:
    titles = dataset(Console(quiet=True), "ml-100k", data_dir=ml_100k.parent, downloads=ml_100k).titles
    assert titles["50"] == "Star Wars (1977)"
