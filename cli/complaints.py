"""What to say of an exception to whoever typed the command."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError

from alteraser.errors import AlteraserError
from cli.embedded import EmbeddedError
from cli.errors import CliError
from ledger.errors import LedgerError
from workers.errors import WorkerError

OURS = (CliError, EmbeddedError, LedgerError, WorkerError, AlteraserError)


def complaint(error: Exception) -> str | None:
    """One or two lines: what is wrong and what to do. None for a bug, which deserves its traceback."""
    if isinstance(error, OURS):
        return str(error)
    if isinstance(error, ValidationError):
        return "\n".join(_setting(each["loc"], each["msg"]) for each in error.errors(include_input=False))
    if isinstance(error, OperationalError):
        return "the database does not answer\ncheck ALTERASER_DATABASE_URL, or that `alteraser up` still runs"
    if isinstance(error, ProgrammingError):
        return "the database lacks tables of this release\nrun `alteraser migrate`"
    return None


def _setting(place: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in place).upper()
    return f"ALTERASER_{name}: {message}" if name else message
