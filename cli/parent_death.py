"""Children that do not outlive the process that started them, even when it is killed."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child calls before exec, so that the kernel signals it when the thread that started it ends.

    None where the kernel is not Linux: there a child outlives a parent that was killed.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask_the_kernel() -> None:
        prctl(SET_PARENT_DEATH_SIGNAL, int(death_signal))

    return ask_the_kernel
