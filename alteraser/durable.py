"""Folders that are on disk whole or not at all, and gone whole or known not to be."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from alteraser import crash

WRITING = ".writing-"
DESTROYED = ".destroyed-"


def write_folder(final: Path, contents: Mapping[str, bytes]) -> bool:
    """Write the files, in the order given, as a new folder `final` that survives a power cut.

    Returns:
        Whether this call made the folder; False where there was one, which is left as it is.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f"{WRITING}{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        crash.point("write.begun")
        for name, content in contents.items():
            _write_file(temporary / name, content)
            crash.point("write.file")
        crash.point("write.before_fsync")
        fsync_folder(temporary)
        crash.point("write.before_rename")
        return _rename_if_free(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> bool:
    """Remove a folder so that no crash can leave half of it under its name.

    It is renamed first. A removal that was interrupted after that is completed by the next call.

    Returns:
        Whether nothing of it is left.
    """
    doomed = folder.parent / f"{DESTROYED}{folder.name}"
    shutil.rmtree(doomed, ignore_errors=True)
    with suppress(OSError):  # gone already, or what is left is told below
        folder.rename(doomed)
        crash.point("destroy.renamed")
        fsync_folder(folder.parent)
        shutil.rmtree(doomed)
        fsync_folder(folder.parent)
    return not folder.exists() and not doomed.exists()


def sweep(parent: Path, untouched_s: float) -> int:
    """Remove what interrupted writes and removals left below `parent`, and count it.

    Each is renamed first, so that a writer that was only slow cannot go on into what is half removed.

    Args:
        parent: The folder of folders; it may be missing.
        untouched_s: Seconds, by the file system's clock; what was touched since may still be in use and stays.
    """
    leftovers = _temporary(parent)
    if not leftovers:
        return 0
    touched_before = _file_system_time(parent) - untouched_s
    return sum(_remove_leftover(path) for path in leftovers if _touched_at(path) < touched_before)


def has_leftovers(parent: Path) -> bool:
    """Whether a folder being written or removed, or left over from that, lies below `parent`."""
    return bool(_temporary(parent))


def fsync_folder(folder: Path) -> None:
    """Make the folder's list of names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename_if_free(temporary: Path, final: Path) -> bool:
    try:
        temporary.rename(final)
    except OSError:
        if final.is_dir():
            return False
        raise
    crash.point("write.renamed")
    fsync_folder(final.parent)
    return True


def _remove_leftover(path: Path) -> bool:
    """Remove a folder nobody may go on with; whether this call did."""
    doomed = path.parent / f"{DESTROYED}{uuid.uuid4().hex}"
    try:
        path.rename(doomed)
    except FileNotFoundError:  # another worker was quicker
        return False
    shutil.rmtree(doomed, ignore_errors=True)
    return not doomed.exists()


def _touched_at(path: Path) -> float:
    """Unix seconds; never, for what is gone already."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _file_system_time(parent: Path) -> float:
    """Unix seconds by the clock that stamps the files below `parent`: this machine's own may differ."""
    with TemporaryDirectory(dir=parent, prefix=WRITING) as probe:
        return Path(probe).stat().st_mtime


def _temporary(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [path for path in parent.iterdir() if path.name.startswith((WRITING, DESTROYED))]
