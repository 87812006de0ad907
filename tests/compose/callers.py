"""Callers who ask all the time, everything once, and count what was not answered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread

import httpx

from tests.compose.stack import STRANGER, Stack

N_CALLERS = 4
PAUSE_S = 0.02
PAUSE_OF_ASKING_S = 0.5
FIRST_TO_FORGET = 400
"""From here on up nobody else asks that anybody be forgotten."""


@dataclass(slots=True)
class Calls:
    """What callers were answered.

    Attributes:
        answered: How many calls succeeded.
        failed: How many did not, by what came instead.
    """

    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)


@contextmanager
def calling(stack: Stack) -> Iterator[Calls]:
    """Have callers read and ask while the block runs, without ever asking twice."""
    calls, over = Calls(), Event()
    threads = [Thread(target=_call, args=(stack, number, calls, over), daemon=True) for number in range(N_CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield calls
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _call(stack: Stack, number: int, calls: Calls, over: Event) -> None:
    with httpx.Client(base_url=stack.url, headers=stack.headers, timeout=60.0) as client:
        for turn in count():
            if over.is_set():
                return
            try:
                answer = _asked(client, number, turn)
            except httpx.TransportError as error:
                calls.failed[type(error).__name__] += 1
            else:
                _counted(answer, calls)
            time.sleep(PAUSE_S)


def _asked(client: httpx.Client, number: int, turn: int) -> httpx.Response:
    """One caller asks that one after the other be forgotten; the others read."""
    if number == 0:
        time.sleep(PAUSE_OF_ASKING_S)
        return client.post("/v1/deletion-requests", json={"subject": str(FIRST_TO_FORGET + turn)})
    user = STRANGER if turn % 5 == 0 else str(turn % 900 + 1)
    return client.get(f"/v1/users/{user}/recommendations")


def _counted(answer: httpx.Response, calls: Calls) -> None:
    if answer.is_success:
        calls.answered += 1
    else:
        calls.failed[str(answer.status_code)] += 1
