"""The `alteraser` command: reads options, hands over to each command's module, and prints what went wrong.

Modules that import torch are imported when their command is called: `verify` and `--help` answer at once.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from cli.errors import BadOption, FileUnreadable, KeyNotFound

app = typer.Typer(
    help="Online unlearning for recommenders: deletion requests in, signed receipts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
log_app = typer.Typer(help="The log of every state change.", no_args_is_help=True)
app.add_typer(log_app, name="log")

console = Console()
complaints = Console(stderr=True)


class DatasetName(StrEnum):
    """The datasets that demo and up know."""

    ml_100k = "ml-100k"
    ml_1m = "ml-1m"


HomeOption = Annotated[Path, typer.Option("--home", envvar="ALTERASER_HOME", help="Folder of the embedded deployment.")]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", envvar="ALTERASER_DATA_DIR", help="Folder with public datasets.")
]
HostOption = Annotated[str, typer.Option("--host", envvar="ALTERASER_SERVICE_HOST", help="Address to listen on.")]
PortOption = Annotated[
    int, typer.Option("--port", envvar="ALTERASER_SERVICE_PORT", min=0, max=65535, help="0 takes a free one.")
]
DEFAULT_HOME = Path(".alteraser")


@app.command()
def up(
    home: HomeOption = DEFAULT_HOME,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    dataset: Annotated[
        DatasetName | None, typer.Option(help="Import this and train on it if there is no model yet.")
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Run PostgreSQL, Valkey, worker, beat and web in one folder until Ctrl-C."""
    from cli.up import up

    up(console, home, host=host, port=port, dataset_name=dataset, data_dir=data_dir)


@app.command()
def demo(
    dataset: Annotated[DatasetName, typer.Option(help="What to train on.")] = DatasetName.ml_100k,
    model: Annotated[str, typer.Option(help="Kind of the model.")] = "wmf",
    data_dir: DataDirOption = None,
    keep: Annotated[Path | None, typer.Option(help="Run in this folder and keep it.")] = None,
) -> None:
    """Forget a person, three ratings and an item end to end, and check every step."""
    from cli.demo import demo

    demo(console, dataset, kind=model, data_dir=data_dir, downloads=DEFAULT_HOME / "downloads", keep=keep)


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(help="u.data, csv, tsv, Parquet, adjacency text, or a folder of it.")],
    user_column: Annotated[str | None, typer.Option(help="Column of the user's id.")] = None,
    item_column: Annotated[str | None, typer.Option(help="Column of the item's id.")] = None,
    rating_column: Annotated[str | None, typer.Option(help="Column of the rating.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of unix seconds or of an order.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Store the interactions of a file."""
    from alteraser.loaders import Columns
    from cli.deployment import found
    from cli.intake import import_file

    named = (user_column, item_column, rating_column, time_column)
    import_file(console, found(home), path, Columns(*named) if any(named) else None)


@app.command()
def train(
    model: Annotated[str, typer.Option(help="Name of the model.")] = "default",
    kind: Annotated[str, typer.Option(help="Kind of the model.")] = "wmf",
    settings: Annotated[list[str] | None, typer.Option("--set", help="A hyper-parameter, as d=64; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random start.")] = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train a model on the stored interactions and publish it."""
    from cli.deployment import found
    from cli.training import train_model

    train_model(console, found(home), model, kind, dict(map(_setting, settings or [])), seed=seed)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    to: Annotated[
        int | None, typer.Option(min=1, help="Version of the generation; the newest possible if unset.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Publish an earlier generation again, if it holds nothing that anybody asked to be forgotten."""
    from cli.deployment import found
    from cli.rollback import roll_model_back

    roll_model_back(console, found(home), model, to)


@app.command()
def verify(
    receipt: Annotated[Path, typer.Argument(help="File with the receipt.")],
    jwks: Annotated[Path, typer.Option(help="File with the public keys, from /.well-known/jwks.json.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="File with a later checkpoint, from /v1/log/checkpoint: is this in it?"),
    ] = None,
    proof: Annotated[Path | None, typer.Option(help="File with the proof that it does, from /v1/log/proof.")] = None,
) -> None:
    """Check a receipt's signature and its place in the log offline, and print what it says."""
    from cli.receipts import verify

    verify(console, receipt, jwks, checkpoint, proof)


@app.command()
def certify(
    snapshot: Annotated[Path, typer.Argument(help="Folder of the snapshot, named by its digest.")],
    before: Annotated[
        Path | None, typer.Option(help="Folder of its parent: bound what is left of the deletion too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove how far a snapshot's scores are at most from those of any full retraining, from its files alone."""
    from cli.certify import certify, show

    proof = certify(snapshot, before)
    if as_json:
        print(proof.as_json())
    else:
        show(console, proof)


@app.command()
def audit(
    subject_file: Annotated[
        Path | None, typer.Option(help="File with the id of a user or item; - reads it from standard input.")
    ] = None,
    item: Annotated[bool, typer.Option("--item", help="The id in the file is an item's.")] = False,
    request: Annotated[UUID | None, typer.Option(help="A deletion request: its subject, by pseudonym.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option(help="A log file, the erasure journal, or a folder of such; repeatable.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Look for a subject on disk, in the database and in the broker; exit code 1 and a list where anything is left."""
    from cli.audit import audit
    from cli.deployment import found

    if request is not None and subject_file is None:
        sought: str | UUID = request
    elif subject_file is not None and request is None:
        sought = _line_of(subject_file)
    else:
        raise BadOption("--subject-file or --request", "exactly one of them")
    if not audit(console, found(home), sought, "item" if item else "user", file or ()):
        sys.exit(1)


@app.command()
def migrate(home: HomeOption = DEFAULT_HOME) -> None:
    """Bring the database's tables to this release's form."""
    from cli.deployment import found
    from migrations import upgrade

    upgrade(found(home).database_url)
    console.print("the database is up to date")


@app.command()
def secrets(
    folder: Annotated[Path, typer.Argument(help="Folder of the secrets.")],
    new_receipt_key: Annotated[
        bool, typer.Option("--new-receipt-key", help="Sign with a new key from now on; old receipts still verify.")
    ] = False,
) -> None:
    """Make a deployment's first keys where the folder has none, or a new receipt key."""
    from cli.secret_files import make_secrets, replace_receipt_key

    try:
        if new_receipt_key:
            console.print(f"receipts are signed with {replace_receipt_key(folder)} once the workers start again")
            return
        made = make_secrets(folder)
    except OSError as error:
        raise BadOption("FOLDER", f"a folder that can be written ({error.strerror})") from error
    console.print(f"made new keys in {folder}" if made else f"{folder} has its keys already", soft_wrap=True)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    tenant: Annotated[str, typer.Option(help="Whose requests it sees.")] = "default",
    scope: Annotated[list[str] | None, typer.Option(help="A right; repeatable. Without it: all.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make an API key and print it; it is shown this once."""
    from cli.deployment import found
    from cli.keys import create

    print(create(found(home), tenant, name, scope or ()))


@keys_app.command("list")
def list_keys(home: HomeOption = DEFAULT_HOME) -> None:
    """Show all API keys; not the secrets, which are not kept."""
    from cli.deployment import found
    from cli.keys import show

    show(console, found(home))


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[UUID, typer.Argument(help="As `alteraser keys list` shows it.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make an API key worthless."""
    from cli.deployment import found
    from cli.keys import revoke

    if not revoke(found(home), key_id):
        raise KeyNotFound(key_id)
    console.print("revoked")


@log_app.command("verify")
def verify_log(home: HomeOption = DEFAULT_HOME) -> None:
    """Compute the log anew and compare it with all that was ever signed of it."""
    from cli.deployment import found
    from cli.logs import verify

    verify(console, found(home))


@log_app.command("forget")
def forget_subject(
    user: Annotated[str | None, typer.Option(help="Id of a user.")] = None,
    item: Annotated[str | None, typer.Option(help="Id of an item.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Destroy what ties an erased subject to its entries in the log; the log still verifies."""
    from cli.deployment import found
    from cli.logs import forget

    forget(console, found(home), user=user, item=item)


def main() -> None:
    """Run the command line; what goes wrong in a way we know is one or two lines and exit code 1."""
    try:
        app()
    except Exception as error:
        from cli.complaints import complaint

        said = complaint(error)
        if said is None:
            raise
        complaints.print(f"error: {said}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


def _line_of(file: Path) -> str:
    """The id in a file, or on standard input for `-`: what is typed as an argument stays in the shell's history."""
    try:
        line = (sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")).strip("\r\n")
    except OSError as error:
        raise FileUnreadable(file, error.strerror or type(error).__name__) from error
    if not line:
        raise BadOption("--subject-file", "a file with an id in it")
    return line


def _setting(given: str) -> tuple[str, object]:
    name, is_pair, value = given.partition("=")
    if not is_pair:
        raise BadOption(f"--set {given}", "a name and a value, as --set d=64")
    return name, value
