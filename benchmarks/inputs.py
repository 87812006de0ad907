"""What the commands are given, refused in words where it makes no sense: data, model kind, hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from alteraser.errors import AlteraserError, DataError, HyperparameterError, UnknownKind
from alteraser.loaders import Split, load_split

OPTION_OF = {DataError: "--data", UnknownKind: "--model", HyperparameterError: "--set"}


@contextmanager
def refused_in_words() -> Iterator[None]:
    """Turn what the algorithm refuses of the input into a message about the option it came from.

    Raises:
        BadParameter: Something was refused.
    """
    try:
        yield
    except AlteraserError as error:
        hint = next((hint for kind, hint in OPTION_OF.items() if isinstance(error, kind)), None)
        if hint is None:
            raise
        raise typer.BadParameter(str(error), param_hint=hint) from None


def settings(given: Iterable[str] | None) -> dict[str, str]:
    """Return hyper-parameters written ``NAME=VALUE``; none for None.

    Raises:
        BadParameter: One is not written so.
    """
    values = {}
    for text in given or ():
        name, mark, value = text.partition("=")
        if not (name and mark and value):
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
        values[name] = value
    return values


def data_of(path: Path) -> Split:
    """Read data to train on and, where there is one, its test part.

    Raises:
        BadParameter: It cannot be read.
    """
    with refused_in_words():
        return load_split(path)


def described(path: Path, split: Split) -> dict[str, Any]:
    """Return what was learned from: the last two parts of its name and its size, nothing else of this machine."""
    train = split.train
    return {
        "name": "/".join(path.resolve().parts[-2:]),
        "users": train.n_users,
        "items": train.n_items,
        "interactions": len(train),
        "test_interactions": None if split.test is None else len(split.test),
    }
