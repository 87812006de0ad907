"""Where the demo's interactions come from: a data folder, MovieLens' official download, or synthetic data."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from alteraser.loaders import InteractionLog, load
from alteraser.synthetic import synthetic, titles
from cli.errors import DatasetMissing, DownloadRefused
from cli.progress import Tell, shown

DOWNLOADED = "ml-100k"
DOWNLOAD_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
DOWNLOAD_SHA256 = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
DOWNLOAD_MEMBERS = ("ml-100k/README", "ml-100k/u.data", "ml-100k/u.item")
DOWNLOAD_TIMEOUT_S = 5.0  # of each wait, not of the whole download
SYNTHETIC_SIZE = {"n_users": 943, "n_items": 1682, "n_interactions": 100_000}
SYNTHETIC_SEED = 7
TUNED_KIND = "wmf"
SYNTHETIC_HYPERPARAMETERS = {"d": "16", "alpha0": "0.3", "reg": "0.02"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a known dataset lies inside a data folder, and what suits its size.

    Attributes:
        label: The name people know it by.
        interactions: The file of interactions.
        titles: The file of titles.
        separator: Between the columns of the titles file: ``id``, ``title``, the rest.
        hyperparameters: What the default kind of model is trained with.
    """

    label: str
    interactions: Path
    titles: Path
    separator: str
    hyperparameters: Mapping[str, str]


LAYOUTS = {
    "ml-100k": Layout(
        "MovieLens-100K",
        Path("ml-100k/u.data"),
        Path("ml-100k/u.item"),
        "|",
        {"d": "32", "alpha0": "0.3", "reg": "0.02"},
    ),
    "ml-1m": Layout(
        "MovieLens-1M",
        Path("ml-1m/ratings.tsv"),
        Path("ml-1m/movies.dat"),
        "::",
        {"d": "64", "alpha0": "0.3", "reg": "0.01"},
    ),
}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Interactions with the titles of their items.

    Attributes:
        label: What to call it; says so when it is synthetic.
        log: The interactions as read.
        titles: Title by item id.
        hyperparameters: What the default kind of model is trained with.
    """

    label: str
    log: InteractionLog
    titles: Mapping[str, str]
    hyperparameters: Mapping[str, str]

    def suited_to(self, kind: str) -> Mapping[str, str]:
        """Return what a kind of model is trained with here; nothing, that is its own defaults, where none was tuned."""
        return self.hyperparameters if kind == TUNED_KIND else {}


def dataset(console: Console, name: str, *, data_dir: Path | None, downloads: Path) -> Dataset:
    """Read a dataset by name.

    Args:
        console: Told where the data comes from.
        name: One of `LAYOUTS`.
        data_dir: The folder that has it; without one MovieLens-100K is downloaded or, failing that, made up.
        downloads: Where a download is kept.

    Raises:
        DatasetMissing: The folder lacks it, or it is one that is not downloaded.
    """
    layout = LAYOUTS[name]
    if data_dir is not None:
        return _from_folder(console, layout, data_dir)
    if name != DOWNLOADED:
        raise DatasetMissing(layout.label, None)
    try:
        _download(console, downloads)
    except (httpx.HTTPError, DownloadRefused) as error:
        console.print(f"MovieLens-100K cannot be downloaded: {_first_line(error)}", markup=False)
        console.print("going on with synthetic data of its size: users, items and titles are made up")
        return _synthetic()
    return _from_folder(console, layout, downloads)


def _from_folder(console: Console, layout: Layout, folder: Path) -> Dataset:
    for part in (layout.interactions, layout.titles):
        if not (folder / part).is_file():
            raise DatasetMissing(layout.label, folder / part)
    with shown(console, f"reading {layout.label}") as tell:
        log = load(folder / layout.interactions)
        tell(len(log), len(log), f"{len(log):,} interactions")
    titles_by_item = _titles(folder / layout.titles, layout.separator)
    return Dataset(layout.label, log, titles_by_item, layout.hyperparameters)


def _titles(path: Path, separator: str) -> dict[str, str]:
    lines = path.read_text(encoding="latin-1").splitlines()
    return {item: title for item, title, *_ in (line.split(separator) for line in lines if line)}


def _download(console: Console, downloads: Path) -> None:
    if all((downloads / member).is_file() for member in DOWNLOAD_MEMBERS):
        return
    with shown(console, f"downloading {DOWNLOAD_URL}") as tell:
        content = _fetched(tell)
    found = hashlib.sha256(content).hexdigest()
    if found != DOWNLOAD_SHA256:
        raise DownloadRefused(DOWNLOAD_URL, DOWNLOAD_SHA256, found)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in DOWNLOAD_MEMBERS:
            archive.extract(member, downloads)


def _fetched(tell: Tell) -> bytes:
    content = bytearray()
    with httpx.stream("GET", DOWNLOAD_URL, timeout=DOWNLOAD_TIMEOUT_S) as answer:
        answer.raise_for_status()
        of = int(answer.headers.get("Content-Length", 0)) or None
        for part in answer.iter_bytes():
            content += part
            tell(len(content), of, f"{len(content) / 1e6:.1f} MB")
    return bytes(content)


def _synthetic() -> Dataset:
    log = synthetic(**SYNTHETIC_SIZE, seed=SYNTHETIC_SEED)
    return Dataset("synthetic data", log, titles(SYNTHETIC_SIZE["n_items"]), SYNTHETIC_HYPERPARAMETERS)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
