"""`alteraser import`: interactions from a file into the ledger."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from alteraser.loaders import Columns, InteractionLog, load
from cli.deployment import Deployment, transaction
from cli.progress import shown
from ledger import interactions
from ledger.interactions import Imported
from ledger.pseudonym import Pseudonyms


def import_file(console: Console, deployment: Deployment, path: Path, columns: Columns | None) -> None:
    """Read a file or folder of interactions and store them.

    Raises:
        DataError: It cannot be read; the error names file and line.
    """
    with shown(console, f"reading {path.name}") as tell:
        log = load(path, columns=columns)
        tell(len(log), len(log), f"{len(log):,} rows")
    import_log(console, deployment, log)


def import_log(console: Console, deployment: Deployment, log: InteractionLog) -> None:
    """Store interactions; left out are known pairs, and data of the erased not younger than the erasure."""
    pseudonyms = Pseudonyms.load(Path(deployment.secrets_dir))
    with shown(console, "importing") as tell, transaction(deployment) as session:
        imported = interactions.import_log(
            session, log, pseudonyms, lambda done, of: tell(done, of, f"{done:,} of {of:,} rows")
        )
        tell(len(log), len(log), _in_words(imported))


def _in_words(imported: Imported) -> str:
    known = f", {imported.duplicates:,} known already" if imported.duplicates else ""
    refused = f", {imported.refused:,} refused as of the erased" if imported.refused else ""
    return f"{imported.rows:,} interactions into PostgreSQL{known}{refused}"
