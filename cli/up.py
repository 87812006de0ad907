"""`alteraser up`: the whole system in a folder, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import httpx
from rich.console import Console

from cli import keys
from cli.deployment import Deployment
from cli.home import Home
from cli.secret_files import write_secret
from cli.stack import Stack, running

KEY_NAME = "made by alteraser up"


def up(
    console: Console, folder: Path, *, host: str, port: int, dataset_name: str | None, data_dir: Path | None
) -> None:
    """Run the system until it is told to stop.

    Args:
        console: Where to say what happens.
        folder: The home folder.
        host: Where the web process listens.
        port: On which port.
        dataset_name: What to import and train at the first start; None leaves that to the caller.
        data_dir: Where datasets lie.

    Raises:
        CliError: It cannot start, or a part of it ended by itself.
    """
    console.print(f"starting in {folder} ...", highlight=False)
    try:
        with running(folder, host=host, port=port) as stack:
            key = api_key(stack.home, stack.deployment)
            if dataset_name is not None and not has_model(stack, key):
                _fill(console, stack, dataset_name, data_dir)
            _greet(console, stack, key)
            stack.supervisor.wait()
    except KeyboardInterrupt:
        console.print("stopped")


def api_key(home: Home, deployment: Deployment) -> str:
    """The key of this home with every scope, made once."""
    if not home.api_key.is_file():
        write_secret(home.api_key, keys.create(deployment, keys.DEFAULT_TENANT, KEY_NAME, ()))
    return home.api_key.read_text(encoding="ascii")


def has_model(stack: Stack, key: str) -> bool:
    """Whether a model has been published."""
    answer = httpx.get(f"{stack.url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    return any(model["generation"] for model in answer.raise_for_status().json()["models"])


def _fill(console: Console, stack: Stack, name: str, data_dir: Path | None) -> None:
    from cli.datasets import dataset
    from cli.intake import import_log
    from cli.training import train_model

    data = dataset(console, name, data_dir=data_dir, downloads=stack.home.downloads)
    import_log(console, stack.deployment, data.log)
    train_model(console, stack.deployment, "default", "wmf", data.hyperparameters)


def _greet(console: Console, stack: Stack, key: str) -> None:
    lines = [
        f"service   {stack.url}   described in {stack.url}/openapi.json",
        f"ops       {stack.url}/ops   sign in with the API key",
        f"API key   {key}",
        f"logs      {stack.home.logs}",
    ]
    if not has_model(stack, key):
        lines += [
            "no model is trained yet; in another terminal:",
            "  alteraser import PATH",
            "  alteraser train",
        ]
    console.print("\n".join([*lines, "Ctrl-C stops everything"]), highlight=False, soft_wrap=True)
