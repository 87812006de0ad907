"""A sign of progress that others can see: a file whose time is until when a process counts as getting on.

    python -m workers.liveness FILE

ends with 0 where that time is still to come, and with 1 where the process stands still though it may be running. Each
sign says for how long it is good: a step of the solver until its lease runs out, a ring that was answered until the
next ones are due. A process that hangs, or is connected and hears nothing, gives none.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SILENCES = 5
"""Sweeps that a process which gets on cannot miss in a row."""
LEAST_SILENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Liveness:
    """Where one process shows that it gets on.

    Attributes:
        file: The file; None where nobody looks.
    """

    file: Path | None

    def beat(self, good_for_s: float) -> None:
        """Get on, and be about to do so again within so many seconds. A file that cannot be written is no error."""
        if self.file is None:
            return
        until = time.time() + good_for_s
        with suppress(OSError):  # who looks sees that no sign comes; the work must not end over it
            self.file.open("ab").close()  # and not `touch`, after which it would for a moment be good until now
            os.utime(self.file, (until, until))


def silence_s(sweep_s: float) -> float:
    """Seconds without a ring after which something is wrong, where one is due every `sweep_s`."""
    return max(LEAST_SILENCE_S, SILENCES * sweep_s)


def overdue_s(file: Path) -> float:
    """Seconds for which the process has stood still; negative while it gets on, infinite where it never did."""
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return float("inf")


def main() -> int:
    """Say how the process is that shows itself in the file of the command line."""
    late_s = overdue_s(Path(sys.argv[1]))
    sys.stdout.write(f"stands still for {late_s:.0f} s\n" if late_s > 0 else "gets on\n")
    return int(late_s > 0)


if __name__ == "__main__":
    sys.exit(main())
