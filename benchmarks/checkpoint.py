"""Where a long benchmark stands, on disk, so that it can go on after it was stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alteraser import snapshot
from alteraser.snapshot import Snapshot

STATE = "state.json"


class OtherRun(ValueError):
    """The folder holds the state of a run with other settings.

    Attributes:
        folder: Which folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds a run with other settings: choose another folder or remove it")
        self.folder = folder


@dataclass(frozen=True, slots=True)
class State:
    """How far a run has come.

    Attributes:
        original: The model it began with.
        current: The model it has now.
        evidence: What was measured so far, JSON-able.
    """

    original: Snapshot
    current: Snapshot
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that holds one run's state.

    Attributes:
        folder: Which; made when the first state is written.
        settings: What makes the run this run, JSON-able.
    """

    folder: Path
    settings: dict[str, Any]

    def save(self, state: State) -> None:
        """Write the state; the one before is gone, and its model with it, once this one is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {name: snapshot.write(self.folder, model) for name, model in _models(state).items()}
        text = json.dumps({"settings": self.settings, "models": kept, "evidence": state.evidence})
        written = self.folder / f"{STATE}.new"
        written.write_text(text)
        written.replace(self.folder / STATE)
        for digest in snapshot.digests(self.folder) - set(kept.values()):
            snapshot.destroy(self.folder, digest)

    def load(self) -> State | None:
        """Return the state that was written last; None where there is none.

        Raises:
            OtherRun: It is that of a run with other settings.
        """
        path = self.folder / STATE
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        if found["settings"] != json.loads(json.dumps(self.settings)):
            raise OtherRun(self.folder)
        models = {name: snapshot.read(self.folder, digest) for name, digest in found["models"].items()}
        return State(**models, evidence=found["evidence"])


def _models(state: State) -> dict[str, Snapshot]:
    return {"original": state.original, "current": state.current}
