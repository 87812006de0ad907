"""`python -m tests.faults.skewed SECONDS workers worker`: a process whose wall clock is off by so much.

The clock is changed before anything else is loaded. Stopwatches, the file system and PostgreSQL keep theirs, as on a
machine whose clock was set wrong.
"""

from __future__ import annotations

import datetime as clock
import runpy
import sys
import time


def main() -> None:
    """Set the clock, then run the command."""
    off_s = float(sys.argv[1])
    _set(off_s)
    package, *arguments = sys.argv[2:]
    sys.argv = [package, *arguments]
    runpy.run_module(package, run_name="__main__", alter_sys=True)


def _set(off_s: float) -> None:
    real_time, real_time_ns, real = time.time, time.time_ns, clock.datetime

    class AnyMoment(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

    class Skewed(real, metaclass=AnyMoment):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: clock.tzinfo | None = None) -> clock.datetime:
            return real.now(tz) + clock.timedelta(seconds=off_s)

        @classmethod
        def utcnow(cls) -> clock.datetime:
            return real.now(clock.UTC).replace(tzinfo=None) + clock.timedelta(seconds=off_s)

    time.time = lambda: real_time() + off_s
    time.time_ns = lambda: real_time_ns() + int(off_s * 1e9)
    clock.datetime = Skewed  # type: ignore[misc]


if __name__ == "__main__":
    main()
