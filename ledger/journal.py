"""The erasure journal: an append-only file outside the database that says what must stay erased.

The database can be restored from a backup made before a deletion; the journal lies elsewhere and remembers. It holds no
id, only keyed HMACs. Each line carries an HMAC over itself and the line before, so that a changed or missing line is
noticed; the sweep also signs it with the receipt key. Lines are written whole, by one process at a time, and are on
the disk before whoever asked for the deletion gets an answer.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

from alteraser.durable import fsync_folder
from ledger.errors import JournalAway
from ledger.log.entries import canonical
from ledger.pseudonym import Pseudonyms

FILE = "erasures.jsonl"
MAC = "mac"

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Floors:
    """The watermarks below which no snapshot may be served or rolled back to.

    Attributes:
        watermarks: The highest published of each model.
        through: What a restore requires of every model.
    """

    watermarks: Mapping[str, int]
    through: int

    def of(self, model: str) -> int:
        """The floor of one model."""
        return max(self.watermarks.get(model, 0), self.through)


@dataclass(slots=True)
class Book:
    """What the journal says, as far as it has been read.

    Attributes:
        recorded: Where in the file each request's line begins.
        cancelled: Requests that were cancelled.
        completed: Requests whose receipt was issued since the last restore.
        watermarks: The highest watermark published of each model.
        fresh: Models of which something was published since the last restore.
        through: The highest sequence that requests got which were recorded again after a restore.
        highest: The highest number of the erasure clock that any line names.
        forgotten: The (scope, pseudonym) of subjects whose salt was destroyed.
        checkpoints: The signed checkpoints of the log, each with whether a restore was noticed since.
        n_lines: Lines read.
        torn: Numbers of lines that a crash cut off; what they would have said was never answered.
        damaged: Numbers of lines that do not verify: they or the line before them were changed.
    """

    recorded: dict[UUID, int] = field(default_factory=dict)
    cancelled: set[UUID] = field(default_factory=set)
    completed: set[UUID] = field(default_factory=set)
    watermarks: dict[str, int] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    through: int = 0
    highest: int = 0
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    checkpoints: list[tuple[str, bool]] = field(default_factory=list)
    n_lines: int = 0
    torn: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)

    @property
    def last_checkpoint(self) -> str | None:
        """The newest checkpoint of the log that is sealed here."""
        return self.checkpoints[-1][0] if self.checkpoints else None

    def floors(self) -> Floors:
        """The floors as they are now."""
        return Floors(dict(self.watermarks), self.through)

    def copy(self) -> Book:
        """The same, which stays as it is while the journal grows."""
        return replace(
            self,
            recorded=dict(self.recorded),
            cancelled=set(self.cancelled),
            completed=set(self.completed),
            watermarks=dict(self.watermarks),
            fresh=set(self.fresh),
            forgotten=set(self.forgotten),
        )

    def take_in(self, facts: Facts, offset: int) -> None:
        """Remember what a line says that begins at `offset`."""
        event = facts["event"]
        if event == "recorded":
            self.recorded.setdefault(UUID(facts["request"]), offset)
            self.highest = max(self.highest, facts["sequence"])
        elif event == "cancelled":
            self.cancelled.add(UUID(facts["request"]))
        elif event == "completed":
            self.completed.update(map(UUID, facts["requests"]))
        elif event == "published":
            self._raise_watermark(facts["model"], facts["watermark"])
        else:
            self._take_in_rare(event, facts)

    def _take_in_rare(self, event: str, facts: Facts) -> None:
        if event == "forgotten":
            self.forgotten.add((facts["scope"], facts["subject"]))
        elif event == "restored":
            self.through = max(self.through, facts["through"])
            self.highest = max(self.highest, facts["through"])
            self.checkpoints = [(note, True) for note, _ in self.checkpoints]
            self.completed.clear()
            self.fresh.clear()
        elif event == "sealed":
            self.checkpoints.append((facts["checkpoint"], False))

    def _raise_watermark(self, model: str, watermark: int) -> None:
        self.fresh.add(model)
        self.watermarks[model] = max(self.watermarks.get(model, 0), watermark)
        self.highest = max(self.highest, watermark)


class Journal:
    """The journal of one deployment, as one process sees it; threads may share it.

    Attributes:
        path: The file. It is made at the first line.
    """

    def __init__(self, folder: Path, pseudonyms: Pseudonyms) -> None:
        self.path = folder / FILE
        self._pseudonyms = pseudonyms
        self._alone = Lock()
        self._start_over()

    def read(self) -> Book:
        """What the journal says now; only what was added since the last call is read.

        Raises:
            JournalAway: It cannot be read.
        """
        with self._alone, self._reachable():
            self._catch_up()
            return self._book

    def copy(self) -> Book:
        """What the journal says now, as it will stay: for comparison with a ledger that is read later."""
        with self._alone, self._reachable():
            self._catch_up()
            return self._book.copy()

    def without_line(self, request_ids: Iterable[UUID]) -> list[UUID]:
        """Those of the requests that have no line."""
        recorded = self.read().recorded
        return [each for each in request_ids if each not in recorded]

    def append(self, lines: Sequence[Facts]) -> None:
        """Write lines, and return when they are on the disk.

        Raises:
            JournalAway: They are not.
        """
        if not lines:
            return
        with self._alone, self._reachable(), self._held() as descriptor:
            self._catch_up()
            after_torn = [b"\n"] if self._tail else []
            _write(descriptor, b"".join([*after_torn, *map(self._spelled, lines)]))
            self._catch_up()

    def line(self, request_id: UUID) -> Facts:
        """What the journal says of a request it knows."""
        with self.path.open("rb") as file:
            file.seek(self.read().recorded[request_id])
            facts: Facts = json.loads(file.readline())
        return facts

    @property
    def size_bytes(self) -> int:
        """How much of it has been read."""
        return self._offset

    def last_mac(self) -> str:
        """The HMAC of the last whole line, which vouches for all before it."""
        self.read()
        return self._mac

    def _start_over(self) -> None:
        self._book = Book()
        self._offset = 0
        self._mac = self._chain = ""
        self._tail = False

    def _spelled(self, facts: Facts) -> bytes:
        """The line, chained to the one spelled or read before it."""
        self._chain = self._pseudonyms.chained(self._chain, canonical(facts))
        return canonical({**facts, MAC: self._chain}).encode("ascii") + b"\n"

    def _catch_up(self) -> None:
        """Read the lines that were added since; all of them where the file is another one."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < self._offset:
            self._start_over()
        if size > self._offset:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    self._take_in(line)
        self._chain = self._mac

    def _take_in(self, line: bytes) -> None:
        self._tail = not line.endswith(b"\n")
        if self._tail:
            return
        offset, self._offset = self._offset, self._offset + len(line)
        book = self._book
        book.n_lines += 1
        facts = _parsed(line)
        if facts is None:
            book.torn.append(book.n_lines)
            return
        mac = facts.pop(MAC)
        is_genuine = mac == self._pseudonyms.chained(self._mac, canonical(facts))
        self._mac = mac
        if is_genuine:
            book.take_in(facts, offset)
        else:
            book.damaged.append(book.n_lines)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Say of what goes wrong with the file in the block that it is the journal that is away."""
        try:
            yield
        except OSError as error:
            raise JournalAway(self.path, error.strerror or type(error).__name__) from error

    @contextmanager
    def _held(self) -> Iterator[int]:
        """The open file, while no other process may write to it."""
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
            if is_new:
                fsync_folder(self.path.parent)
        finally:
            os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """Write all of it, and wait until it is on the disk."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The line's facts; None where it is not a whole line."""
    try:
        facts = json.loads(line)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and isinstance(facts.get(MAC), str) and "event" in facts else None
