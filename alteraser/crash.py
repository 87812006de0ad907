"""Named points at which a test of faults ends or stops the process; in normal use passing one does nothing.

A process that nobody armed looks one name up in an empty dictionary per point. The composition root arms it, from
the setting `crash_at`; nothing here reads the environment. What follows a point is the same whether it is armed or
not: the process is either signalled there, as the kernel would, or goes on.
"""

from __future__ import annotations

import os
import signal

from alteraser.errors import UnknownCrashPoint

POINTS = (
    "record.inside",
    "record.committed",
    "ring.before",
    "lease.inside",
    "lease.taken",
    "unlearn.step",
    "gates.before",
    "write.begun",
    "write.file",
    "write.before_fsync",
    "write.before_rename",
    "write.renamed",
    "publish.before",
    "publish.inside",
    "publish.committed",
    "certificate.taken",
    "certificate.recorded",
    "swap.loaded",
    "acknowledge.before",
    "acknowledge.committed",
    "destroy.before",
    "destroy.renamed",
    "destroy.removed",
    "receipt.inside",
    "receipt.issued",
    "callback.sending",
    "callback.sent",
    "discard.before",
    "expire.committed",
)
"""In the order in which one deletion passes them; the last two only where a run was lost."""

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

_passes_left: dict[str, tuple[int, signal.Signals]] = {}


def arm(spelled: str) -> None:
    """Have this process signalled at points, separated by commas.

    `publish.inside` is killed there, `publish.inside:2` at the second pass, `publish.inside:1:stop` stopped.

    Raises:
        UnknownCrashPoint: There is no such point, or the rest is not a count and a signal.
    """
    armed = dict(_armed(each) for each in spelled.split(","))
    _passes_left.update(armed)  # all or none


def _armed(spelled: str) -> tuple[str, tuple[int, signal.Signals]]:
    name, _, rest = spelled.partition(":")
    passes, _, action = rest.partition(":")
    if name not in POINTS or not (passes or "1").isdigit() or (action or "kill") not in SIGNALS:
        raise UnknownCrashPoint(spelled, POINTS)
    return name, (int(passes or "1"), SIGNALS[action or "kill"])


def point(name: str) -> None:
    """Pass a point: signal this process if it is armed for this pass of it."""
    if name in _passes_left:
        _pass_armed(name)


def _pass_armed(name: str) -> None:
    left, number = _passes_left[name]
    if left > 1:
        _passes_left[name] = left - 1, number
        return
    del _passes_left[name]
    os.kill(os.getpid(), number)
