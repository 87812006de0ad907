"""Shows how far something long has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 5.0

Tell = Callable[[int, int | None, str], None]
"""Told how many steps are done, of how many where that is known, and a note."""


@contextmanager
def shown(console: Console, title: str) -> Iterator[Tell]:
    """Show the progress of the block; what it has told last stays as one line with the time it took."""
    started = time.monotonic()
    last = ""

    with _bar(console, title) if console.is_terminal else _lines(console, title) as show:

        def tell(done: int, of: int | None, note: str) -> None:
            nonlocal last
            last = note
            show(done, of, note)

        yield tell
    result = f"{last}, " if last else ""
    console.print(f"{title}: {result}{time.monotonic() - started:.1f} s", highlight=False)


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Tell]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, note="")
        yield lambda done, of, note: progress.update(task, completed=done, total=of, note=note)


@contextmanager
def _lines(console: Console, title: str) -> Iterator[Tell]:
    due_at = time.monotonic() + LINE_EVERY_S

    def tell(done: int, of: int | None, note: str) -> None:
        nonlocal due_at
        if time.monotonic() >= due_at:
            due_at = time.monotonic() + LINE_EVERY_S
            console.print(f"  {title}: {note or f'{done} of {of}'} ...", highlight=False)

    yield tell
