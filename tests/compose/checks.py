"""What is done to the deployment, in order, and what is seen of it. Each step says what it saw, or raises."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from tests.compose.callers import calling
from tests.compose.stack import BUILT, NEXT, PATIENCE_S, STRANGER, Stack, images_left, remove
from tests.processes import wait_until

SCALED = ("--scale", "worker=2", "--scale", "service=2")
TWO = {"worker": 2, "service": 2}
ATTEMPTS = 8
GRACE_S = {"service": 30.0, "worker": 60.0, "beat": 10.0}


def images_are_built(stack: Stack) -> str:
    """Service, worker and edge, of two releases."""
    stack.build()
    n_images = len(images_left(stack))
    assert n_images == 2 * len(BUILT), n_images
    return f"{n_images} images: {', '.join(BUILT)} of two releases"


def everything_starts(stack: Stack) -> str:
    """From nothing to every service healthy."""
    started = time.monotonic()
    stack.start()
    return f"all services healthy within {time.monotonic() - started:.0f} s, at {stack.url}"


def everything_is_confined(stack: Stack) -> str:
    """No container has more than it needs."""
    found: list[str] = []
    for service in ("postgres", "redis", "worker", "beat", "service", "edge"):
        for container in stack.engine.ids(service):
            loose = _looseness(stack.engine.inspect(container), is_edge=service == "edge")
            found += [f"{service}: {each}" for each in loose]
    assert not found, found
    return "read-only root, no root user, no capabilities or new privileges, limits on memory, cpus and pids; one port"


def _looseness(container: dict[str, Any], *, is_edge: bool) -> list[str]:
    """What a container may that it should not."""
    host, config = container["HostConfig"], container["Config"]
    wanted = {
        "its root is writable": not host["ReadonlyRootfs"],
        "it runs as root": config["User"] in ("", "0", "root"),
        "it has capabilities": host["CapDrop"] != ["ALL"] or bool(host["CapAdd"]),
        "it can gain privileges": not any(each.startswith("no-new-privileges") for each in host["SecurityOpt"] or ()),
        "its memory is not limited": not host["Memory"],
        "its processor time is not limited": not host["NanoCpus"],
        "its processes are not limited": not host["PidsLimit"],
        "it has no health check": not config.get("Healthcheck"),
        "it publishes a port": not is_edge and any(container["NetworkSettings"]["Ports"].values()),
    }
    return [said for said, is_so in wanted.items() if is_so]


def a_model_is_trained(stack: Stack) -> str:
    """Data goes in through the command line, and a replica serves."""
    n_rows = stack.fill()
    items = stack.recommended("1")
    assert items != stack.recommended(STRANGER)
    return f"{n_rows:,} interactions imported, trained, served"


def a_person_is_forgotten(stack: Stack) -> str:
    """From the request to a receipt that verifies offline."""
    person = stack.someone()
    before = stack.recommended(person)
    started = time.monotonic()
    request_id = stack.ask(person)
    stack.await_completed(request_id)
    seconds = time.monotonic() - started
    assert stack.recommended(person) == stack.recommended(STRANGER) != before
    _verify(stack, request_id)
    stack.cli("audit", "--subject-file", "-", given=person)
    return f"completed after {seconds:.1f} s, receipt verified offline, nothing left by `alteraser audit`"


def _verify(stack: Stack, request_id: str) -> None:
    receipt, keys = stack.folder / "receipt.jws", stack.folder / "jwks.json"
    wait_until(lambda: stack.answers(f"/v1/deletion-requests/{request_id}/receipt"), within_s=60)
    receipt.write_text(stack.get(f"/v1/deletion-requests/{request_id}/receipt").text)
    keys.write_text(stack.get("/.well-known/jwks.json").text)
    subprocess.run(
        [sys.executable, "-m", "cli", "verify", str(receipt), "--jwks", str(keys)], check=True, capture_output=True
    )


def it_is_scaled(stack: Stack) -> str:
    """Two workers and two replicas."""
    stack.start("--no-recreate", *SCALED)
    assert _counts(stack) == TWO
    wait_until(lambda: _n_replicas(stack) == 2, within_s=60)
    return "2 workers and 2 replicas healthy, both replicas in the ledger"


def _counts(stack: Stack) -> dict[str, int]:
    return {service: len(stack.engine.ids(service)) for service in TWO}


def _n_replicas(stack: Stack) -> int:
    (found,) = stack.rows("SELECT count(*) FROM replicas WHERE heartbeat_at > clock_timestamp() - interval '10 s'")
    return int(found)


def one_of_each_is_killed(stack: Stack) -> str:
    """The worker that is at a deletion dies, and a replica with it; every request is completed all the same."""
    asked: list[str] = []
    for _ in range(ATTEMPTS):
        if _is_killed_at_work(stack, asked):
            break
    else:
        raise AssertionError(f"no worker was met at work in {len(asked)} deletions")
    stack.engine.kill_main(*stack.engine.mains("service").popitem())
    asked += [stack.ask(stack.someone()) for _ in range(3)]
    for request_id in asked:
        stack.await_completed(request_id)
    wait_until(lambda: _counts(stack) == TWO, within_s=PATIENCE_S)
    stack.await_health()
    n_expired = sum(state == "expired" for _, state in _runs(stack))
    assert n_expired, "no run was left behind by the killed worker"
    return f"{len(asked)} of {len(asked)} requests completed, {n_expired} run taken over, both back and healthy"


def _is_killed_at_work(stack: Stack, asked: list[str]) -> bool:
    """Ask for a deletion and kill the worker that is at it at once; whether the run died with it."""
    workers = stack.engine.mains("worker")
    watch = stack.watch(UNTIL_A_RUN_IS_LIVE, ITS_OWNER)
    asking = Thread(target=lambda: asked.append(stack.ask(stack.someone())))
    asking.start()
    said, _ = watch.communicate()
    owner = said.splitlines()[-1]
    for container, pid in workers.items():
        if owner and container.startswith(owner.split(":")[0]):
            stack.engine.kill_main(container, pid)
    asking.join()
    return bool(owner) and dict(_runs(stack))[owner] != "published"


UNTIL_A_RUN_IS_LIVE = """DO $$ BEGIN
    FOR look IN 1..3000 LOOP
        EXIT WHEN EXISTS (SELECT FROM runs WHERE state = 'live' AND purpose = 'unlearn');
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$"""
ITS_OWNER = "SELECT coalesce((SELECT owner FROM runs WHERE state = 'live' AND purpose = 'unlearn'), '')"


def _runs(stack: Stack) -> list[tuple[str, str]]:
    """Owner and state of every run, the oldest first."""
    rows = stack.rows("SELECT owner, state FROM runs ORDER BY started_at")
    return [(owner, state) for owner, _, state in (row.partition("|") for row in rows)]


def it_is_upgraded(stack: Stack) -> str:
    """Every replica is replaced by one of the next release while callers call."""
    environment = {
        **os.environ,
        **stack.engine.environment,
        "COMPOSE": shlex.join(stack.engine.command),
        "RELEASE": stack.release + NEXT,
    }
    with calling(stack) as calls:
        time.sleep(3)
        subprocess.run(["docker/upgrade"], env=environment, check=True, capture_output=True, timeout=600)
        time.sleep(3)
    running = {stack.engine.inspect(each)["Config"]["Image"] for each in stack.engine.ids("service")}
    assert running == {f"alteraser-service:{stack.release}{NEXT}"}, running
    assert not calls.failed, dict(calls.failed)
    return f"2 of 2 replicas replaced, {calls.answered:,} calls meanwhile, 0 failed"


def a_backup_resurrects_nobody(stack: Stack) -> str:
    """A database from before a deletion comes back, and the person does not."""
    person = stack.someone()
    dump = stack.folder / "alteraser.dump"
    _piped(stack, f"pg_dump -U alteraser -Fc alteraser > {shlex.quote(str(dump))}")
    request_id = stack.ask(person)
    stack.await_completed(request_id)
    stack.engine.run("stop", "service", "worker", "beat")
    _piped(stack, f"pg_restore -U alteraser -d alteraser --clean --if-exists -e < {shlex.quote(str(dump))}")
    n_back = stack.n_rows_of(person)
    assert n_back, "the backup did not hold the person"
    stack.engine.run("start", "service", "worker", "beat")
    stack.await_completed(request_id)
    stack.await_ready()
    assert stack.recommended(person) == stack.recommended(STRANGER)
    assert not stack.n_rows_of(person)
    stack.cli("audit", "--subject-file", "-", given=person)
    return f"{n_back} rows came back with the backup and are gone again, the request completed anew"


def _piped(stack: Stack, words: str) -> None:
    """Run a program of the database's container, with a file of this side as its input or output."""
    line = f"{shlex.join((*stack.engine.command, 'exec', '-T', 'postgres'))} {words}"
    subprocess.run(
        ["sh", "-c", line], env={**os.environ, **stack.engine.environment}, check=True, capture_output=True, timeout=300
    )


def it_stops_in_time(stack: Stack) -> str:
    """Told to stop, every process ends by itself within its grace."""
    took: dict[str, float] = {}
    for service, grace_s in GRACE_S.items():
        containers = stack.engine.ids(service)
        started = time.monotonic()
        stack.engine.run("stop", service)
        took[service] = time.monotonic() - started
        codes = [stack.engine.inspect(each)["State"]["ExitCode"] for each in containers]
        assert set(codes) <= {0, 143}, f"{service} ended with {codes}"
        assert took[service] < grace_s, f"{service} took {took[service]:.0f} s"
    return json.dumps({service: f"{seconds:.0f} s" for service, seconds in took.items()}).strip("{}").replace('"', "")


def nothing_is_left(stack: Stack) -> str:
    """Containers, networks, volumes and images of the test are gone."""
    remove(stack)
    left = [*stack.engine.left(), *images_left(stack)]
    assert not left, left
    return "no container, network, volume or image of the test"


STEPS: dict[str, Callable[[Stack], str]] = {
    "builds": images_are_built,
    "starts": everything_starts,
    "is confined": everything_is_confined,
    "imports and trains": a_model_is_trained,
    "forgets a person over HTTP": a_person_is_forgotten,
    "scales": it_is_scaled,
    "survives a kill of one worker and one replica": one_of_each_is_killed,
    "is upgraded under load": it_is_upgraded,
    "a backup from before resurrects nobody": a_backup_resurrects_nobody,
    "stops within its grace": it_stops_in_time,
    "leaves nothing": nothing_is_left,
}
