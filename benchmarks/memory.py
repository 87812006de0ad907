"""How much memory this process has and had resident, as Linux counts it."""

from __future__ import annotations

import ctypes
import gc
import re
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def resident_bytes() -> int:
    """Return what is resident now."""
    return _kilobytes("VmRSS") * 1024


def peak_bytes() -> int:
    """Return the most that was resident since `forget_peak`, or since the process started."""
    return _kilobytes("VmHWM") * 1024


def forget_peak() -> None:
    """Count the peak from now on, after what has been freed is given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed memory resident otherwise
    RESET.write_text(RESET_PEAK)


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{STATUS} has no {name}")
    return int(found[1])
