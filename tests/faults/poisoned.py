"""`python -m tests.faults.poisoned fail|kill ID`: a worker whose every run with one subject fails, or ends it."""

from __future__ import annotations

import os
import signal
import sys

from alteraser.deletions import Deletions
from alteraser.snapshot import Snapshot
from workers import __main__ as process
from workers import gates
from workers.gates import Verdict


def main() -> int:
    """Poison one gate, then be a worker like any other."""
    way, poison = sys.argv[1:]
    absent = gates.absent

    def poisoned(child: Snapshot, deletions: Deletions) -> Verdict:
        if poison not in deletions.subjects:
            return absent(child, deletions)
        if way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return Verdict("absent", 1, 0)

    gates.absent = poisoned
    sys.argv = ["workers", "worker"]
    return process.main()


if __name__ == "__main__":
    sys.exit(main())
