"""`alteraser log`: the log against everything that was signed of it, and subjects it is to forget."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from cli.deployment import Deployment, transaction
from cli.errors import BadOption, LogDamaged, SubjectNotLogged
from ledger import journal_lines
from ledger.encoding import base64_of
from ledger.journal import Journal
from ledger.log import salts
from ledger.log.inspection import inspect
from ledger.pseudonym import Pseudonyms
from ledger.receipts import jwks
from ledger.seals import false_seals


def verify(console: Console, deployment: Deployment) -> None:
    """Compute the log anew, and compare it with every checkpoint in the database and in the erasure journal.

    Raises:
        LogDamaged: The log or the journal is not what was signed.
    """
    keys, journal = jwks(Path(deployment.secrets_dir)), _journal(deployment)
    book = journal.read()
    with transaction(deployment) as session:
        found = inspect(session, keys, book.checkpoints)
    faults = [f"the log: {fault}" for fault in found.faults]
    faults += [f"the journal: line {number} or the one before it was changed" for number in book.damaged]
    faults += [f"the journal: the signature in line {number} is wrong" for number in false_seals(journal, keys)]
    _say(console, f"{found.size} entries with root {base64_of(found.root)}; {found.n_checkpoints} checkpoints compared")
    _say(console, f"{book.n_lines} lines in the erasure journal, {len(book.torn)} of them cut off by a crash")
    for lost in found.lost:
        _say(console, f"lost by a restore that was noticed: {lost}")
    if faults:
        raise LogDamaged(faults)
    _say(console, "the log is what was signed, and so is the journal")


def forget(console: Console, deployment: Deployment, *, user: str | None, item: str | None) -> None:
    """Destroy what ties a user or an item to its entries in the log.

    Raises:
        BadOption: Neither or both were named.
        SubjectNotLogged: There is nothing to destroy.
        SubjectInUse: A request about it has not ended.
    """
    if (user is None) == (item is None):
        raise BadOption("--user, --item", "one of them")
    pseudonyms = Pseudonyms.load(Path(deployment.secrets_dir))
    scope = "user" if item is None else "item"
    subject = pseudonyms.user(user or "") if item is None else pseudonyms.item(item)
    with transaction(deployment) as session:
        if not salts.destroy(session, scope, subject):
            raise SubjectNotLogged
    _journal(deployment).append([journal_lines.forgotten(scope, subject)])
    _say(console, "the salt is destroyed: nobody can tell any more which entries of the log were about this subject")


def _journal(deployment: Deployment) -> Journal:
    return Journal(deployment.journal_folder, Pseudonyms.load(Path(deployment.secrets_dir)))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
