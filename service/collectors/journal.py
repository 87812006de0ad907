"""What this process sees of the erasure journal."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ledger.errors import JournalAway
from ledger.journal import Journal
from service.collectors.families import counter, gauge


class JournalCollector(Collector):
    """How long the journal is and whether it is whole; where it cannot be read, `alteraser_journal_up` is 0.

    Attributes:
        journal: What must stay erased, outside the database.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def collect(self) -> Iterable[Metric]:
        """Read what was added to the journal."""
        try:
            book = self.journal.read()
        except JournalAway:
            return [gauge("alteraser_journal_up", "Whether this process can read the erasure journal.", 0)]
        return [
            gauge("alteraser_journal_up", "Whether this process can read the erasure journal.", 1),
            gauge("alteraser_journal_size_bytes", "Length of the journal.", self.journal.size_bytes),
            counter("alteraser_journal_lines", "Lines of the journal.", book.n_lines),
            gauge(
                "alteraser_journal_damaged_lines", "Lines that were changed, or follow a lost one.", len(book.damaged)
            ),
        ]
