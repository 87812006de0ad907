"""`alteraser demo`: a person, three ratings and an item are forgotten end to end; every claim is checked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from cli import evidence
from cli.caller import Caller
from cli.checklist import Checklist
from cli.clocks import NAMES, Clocks, in_words
from cli.datasets import dataset
from cli.errors import BadOption, DemoFailed
from cli.intake import import_log
from cli.scene import Scene
from cli.stack import running
from cli.training import train_model
from cli.up import api_key

MODEL = "default"
N_RATINGS = 3
N_SAMPLED = 50


def demo(console: Console, name: str, *, kind: str, data_dir: Path | None, downloads: Path, keep: Path | None) -> None:
    """Run the demo.

    Args:
        console: Where to tell the story.
        name: The dataset.
        kind: Of the model that is trained.
        data_dir: Where datasets lie; without one MovieLens-100K is downloaded or, failing that, made up.
        downloads: Where a download is kept.
        keep: The folder to run in, kept afterwards; without one a temporary one, kept if something fails.

    Raises:
        DemoFailed: A claim was checked and found untrue.
        CliError: It could not start, or a part of it ended by itself.
    """
    data = dataset(console, name, data_dir=data_dir, downloads=downloads)
    with _folder(keep) as folder:
        console.print("starting PostgreSQL, Valkey, worker, beat and web ...", highlight=False)
        with running(folder, host="127.0.0.1", port=0, demo=True) as stack:
            import_log(console, stack.deployment, data.log)
            train_model(console, stack.deployment, MODEL, kind, data.suited_to(kind))
            stack.wait_until_ready()
            with Caller(stack.url, api_key(stack.home, stack.deployment)) as caller:
                scene = Scene(console, stack, caller, data, Checklist(console))
                clocks = [forget_a_person(scene), forget_ratings(scene), forget_an_item(scene)]
        _conclude(scene, clocks, folder)


def forget_a_person(scene: Scene) -> Clocks:
    """Forget the user with the median number of interactions, with everything."""
    scene.heading("A person")
    user = scene.users[len(scene.users) // 2]
    before = scene.show_user(user)
    clocks = scene.forget(f"user {user} with everything", {"subject": user})
    after = scene.caller.recommendations(user)
    kept = evidence.trained_on(scene.stack.deployment, after.snapshot)
    n_rows = evidence.rows_of_user(scene.stack.deployment, user)
    scene.checks.check(f"rows in PostgreSQL: {n_rows}", n_rows == 0)
    n_kept = len(kept.items_of(user))
    scene.checks.check(f"rows in the live snapshot: {n_kept}", n_kept == 0)
    scene.checks.check("the user's id is not in the live snapshot's vocabulary", user not in kept.users)
    scene.check_generations(before, after)
    scene.checks.check("served instead: the popularity list, as to a stranger", after == scene.stranger())
    return clocks


def forget_ratings(scene: Scene) -> Clocks:
    """Forget three single ratings of a user in the upper quartile."""
    scene.heading("Three ratings of another person")
    deployment = scene.stack.deployment
    user = scene.users[len(scene.users) * 3 // 4]
    before = scene.show_user(user)
    rated = evidence.trained_on(deployment, before.snapshot).items_of(user)
    gone, rest = rated[:N_RATINGS], rated[N_RATINGS:]
    scene.say(f"  to be forgotten: {', '.join(scene.title(item) for item in gone)}")
    pairs = [{"user": user, "item": item} for item in gone]
    clocks = scene.forget(f"{N_RATINGS} ratings of user {user}", {"interactions": pairs})
    after = scene.caller.recommendations(user)
    n_rows = evidence.rows_of_user(deployment, user)
    kept = evidence.trained_on(deployment, after.snapshot).items_of(user)
    scene.checks.check(f"rows in PostgreSQL: {n_rows} of {len(rated)}", n_rows == len(rest))
    scene.checks.check(f"in the live snapshot: those {len(kept)} and none of the three", kept == rest)
    scene.check_generations(before, after)
    scene.checks.check("the user is served personally again", scene.is_served_personally(user))
    return clocks


def forget_an_item(scene: Scene) -> Clocks:
    """Forget the item that most of a sample of users are recommended."""
    scene.heading("An item")
    deployment = scene.stack.deployment
    sample = scene.users[:: max(len(scene.users) // N_SAMPLED, 1)]
    lists = {user: scene.caller.recommendations(user) for user in sample}
    recommended = [item for answer in lists.values() for item in answer.items]
    item = max(sorted(set(recommended)), key=recommended.count)
    n_rows = evidence.rows_of_item(deployment, item)
    of_users = f"of {len(sample)} users asked for"
    scene.say(f"  {scene.title(item)}: {n_rows} rows in PostgreSQL")
    scene.say(f"  recommended to {recommended.count(item)} {of_users}")
    clocks = scene.forget(scene.title(item), {"item": item})
    after = {user: scene.caller.recommendations(user) for user in sample}
    live = after[sample[0]]
    kept = evidence.trained_on(deployment, live.snapshot)
    n_rows = evidence.rows_of_item(deployment, item)
    scene.checks.check(f"rows in PostgreSQL: {n_rows}", n_rows == 0)
    scene.checks.check("the item is not in the live snapshot's vocabulary", item not in kept.items)
    scene.check_generations(lists[sample[0]], live)
    n_lists = sum(item in answer.items for answer in after.values())
    scene.checks.check(f"recommended to {n_lists} {of_users}", n_lists == 0)
    return clocks


def _conclude(scene: Scene, clocks: Sequence[Clocks], folder: Path) -> None:
    scene.heading("From recorded to")
    width = max(len(each.what) for each in clocks)
    for each in clocks:
        durations = (f"{name} {in_words(each.since_recorded_s(name))}" for name in NAMES[1:])
        scene.say(f"  {each.what:<{width}}  {', '.join(durations)}")
    if scene.checks.failed:
        raise DemoFailed(scene.checks.failed, folder)
    scene.say(f"\nall {scene.checks.n_checked} claims were checked and are true")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The folder to run in; a temporary one is removed unless something failed, when its logs are wanted."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise BadOption(f"--keep {keep}", "a folder that is empty or does not exist yet")
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="alteraser-"))
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
