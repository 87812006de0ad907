"""Claims that are checked, printed one by one, and counted."""

from __future__ import annotations

from rich.console import Console


class Checklist:
    """Prints every claim with its outcome and remembers those found untrue."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.failed: list[str] = []
        self.n_checked = 0

    def check(self, claim: str, is_true: bool) -> None:
        """State a claim that was looked at."""
        self.n_checked += 1
        if not is_true:
            self.failed.append(claim)
        mark = "[green]true [/]" if is_true else "[bold red]FALSE[/]"
        self._console.print(f"    {mark}  ", end="")
        self._console.print(claim, highlight=False, markup=False, soft_wrap=True)
