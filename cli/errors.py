"""What the command line refuses, and what it says to do about it.

    CliError
    ├── HomeNotWritable        the home folder cannot be created or written
    ├── HomeInUse              another `alteraser up` runs on this home
    ├── NothingRunning         a command found neither a running home nor a database address
    ├── PortInUse              something already listens where the web process would
    ├── ProgramDied            a supervised process ended by itself
    ├── ProgramNotReady        a supervised process did not answer in time
    ├── DatasetMissing         a data folder lacks the data, or it is needed and none was named
    ├── DownloadRefused        a download is not the file its checksum names
    ├── BadOption              an option's value that no later step could use
    ├── FileUnreadable         a file named on the command line cannot be used
    ├── NotItsParent           a snapshot that knows less than the one said to be made from it
    ├── KeyNotFound            no API key to revoke
    ├── LogDamaged             the log or the erasure journal is not what was signed
    ├── SubjectNotLogged       nothing ties the subject to an entry of the log
    ├── CallRefused            the service of this deployment answered with an error
    └── DemoFailed             a step of the demo was checked and found untrue

Every message is one or two lines: what is wrong, then what to do.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID


class CliError(Exception):
    """Anything the command line reports without a traceback."""


class HomeNotWritable(CliError):
    """The home folder cannot be created or written."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder = folder
        super().__init__(f"cannot write in {folder}: {reason}\nchoose another folder with --home")


class HomeInUse(CliError):
    """Another supervisor holds this home."""

    def __init__(self, folder: Path, pid: str) -> None:
        self.folder = folder
        self.pid = pid
        super().__init__(
            f"alteraser is already running in {folder} (process {pid})\n"
            "stop it with Ctrl-C, or choose another folder with --home"
        )


class NothingRunning(CliError):
    """There is no database to work on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"nothing is running in {folder}\n"
            "start `alteraser up` there in another terminal, or set ALTERASER_DATABASE_URL"
        )


class PortInUse(CliError):
    """Something already listens on the address of the web process."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(f"cannot listen on {host}:{port}: {reason}\nchoose another port with --port")


class ProgramDied(CliError):
    """A supervised process ended by itself."""

    def __init__(self, name: str, exit_code: int, log: Path, tail: str) -> None:
        self.name = name
        self.exit_code = exit_code
        self.log = log
        super().__init__(f"{name} ended with exit code {exit_code}; {_end_of(log, tail)}")


class ProgramNotReady(CliError):
    """A supervised process did not answer in time."""

    def __init__(self, name: str, waited_s: float, log: Path, tail: str) -> None:
        self.name = name
        self.waited_s = waited_s
        self.log = log
        super().__init__(f"{name} did not answer within {waited_s:.0f} s; {_end_of(log, tail)}")


class DatasetMissing(CliError):
    """The data asked for is not in the data folder, or needs one and none was named."""

    def __init__(self, label: str, expected: Path | None) -> None:
        self.label = label
        self.expected = expected
        super().__init__(
            f"{label} is not downloaded by this program\nset ALTERASER_DATA_DIR to a folder that has it"
            if expected is None
            else f"ALTERASER_DATA_DIR is set, but {expected} is missing\n"
            f"correct it, or unset it: MovieLens-100K is then downloaded, or synthetic data made"
        )


class DownloadRefused(CliError):
    """A download is not the file its checksum names."""

    def __init__(self, url: str, expected: str, found: str) -> None:
        self.url = url
        super().__init__(
            f"{url} has sha256 {found}, expected {expected}: not used\n"
            "try again, or set ALTERASER_DATA_DIR to a folder that has the data"
        )


class BadOption(CliError):
    """An option's value that no later step could use."""

    def __init__(self, option: str, expected: str) -> None:
        self.option = option
        super().__init__(f"{option} is not understood\nexpected {expected}")


class FileUnreadable(CliError):
    """A file named on the command line cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"cannot use {path}: {reason}")


class NotItsParent(CliError):
    """A snapshot that cannot be what another was made from."""

    def __init__(self, before: Path, reason: str) -> None:
        self.before = before
        super().__init__(f"{before} is not what the snapshot was made from: {reason}\nname its parent with --before")


class KeyNotFound(CliError):
    """There is no working API key with that id."""

    def __init__(self, key_id: UUID) -> None:
        self.key_id = key_id
        super().__init__(f"no working API key has the id {key_id}\n`alteraser keys list` shows them all")


class LogDamaged(CliError):
    """The log or the erasure journal is not what was signed."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(["the log does not verify", *faults]))


class SubjectNotLogged(CliError):
    """Nothing ties the subject to an entry of the log."""

    def __init__(self) -> None:
        super().__init__("no salt is kept for this subject: no request about it was recorded, or it was destroyed")


class CallRefused(CliError):
    """The service of this deployment answered with an error."""

    def __init__(self, method: str, path: str, status: int) -> None:
        self.status = status
        super().__init__(f"{method} {path} was answered with status {status}\nlook into web.log and worker.log")


class DemoFailed(CliError):
    """Steps of the demo that were checked and found untrue."""

    def __init__(self, failed: list[str], home: Path) -> None:
        self.failed = failed
        super().__init__(f"not true: {'; '.join(failed)}\nlogs and data are kept in {home}")


def _end_of(log: Path, tail: str) -> str:
    return f"the end of {log}:\n{tail.rstrip()}" if tail.strip() else f"{log} is empty"
