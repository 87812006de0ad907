"""The four clocks of a deletion request, printed as they happen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from cli.caller import Status

NAMES = ("recorded", "suppressed", "unlearned", "completed")
WIDTH = max(map(len, NAMES))


@dataclass(frozen=True, slots=True)
class Clocks:
    """What was forgotten, and when each clock of its request struck.

    Attributes:
        what: The kind of thing that was forgotten.
        at: Time by name of the clock; a name is missing while the clock has not struck.
    """

    what: str
    at: dict[str, datetime]

    def since_recorded_s(self, name: str) -> float | None:
        """Seconds from recorded to that clock; None where it has not struck."""
        return (self.at[name] - self.at["recorded"]).total_seconds() if name in self.at else None


def follow(console: Console, what: str, statuses: Iterable[Status]) -> Clocks:
    """Print each clock when it strikes, until the status documents end."""
    clocks = Clocks(what, {})
    failure = None
    for status in statuses:
        for name in NAMES:
            if name not in clocks.at and status[f"{name}_at"] is not None:
                clocks.at[name] = datetime.fromisoformat(status[f"{name}_at"])
                _print(console, clocks, name)
        if status["failure"] not in (None, failure):
            failure = status["failure"]
            console.print(f"    a run failed: {failure}", highlight=False, markup=False)
    return clocks


def in_words(seconds: float | None) -> str:
    """A duration for people."""
    if seconds is None:
        return "never"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _print(console: Console, clocks: Clocks, name: str) -> None:
    at = clocks.at[name]
    since = "" if name == "recorded" else f"   + {in_words(clocks.since_recorded_s(name))}"
    console.print(f"    {name:<{WIDTH}}  {at:%H:%M:%S}.{at.microsecond // 1000:03d}{since}", highlight=False)
