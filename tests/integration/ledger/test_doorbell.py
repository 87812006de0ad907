"""The doorbell over a real Valkey, and without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from ledger.doorbell import COMPLETE, QUEUE, UNLEARN, Doorbell, redis_url

NOWHERE = "redis+socket:///nowhere/valkey.sock"


@pytest.fixture
def doorbell(broker_url: str) -> Iterator[Doorbell]:
    bell = Doorbell(broker_url)
    yield bell
    bell.close()


def test_a_ring_lies_in_the_queue_without_a_payload(doorbell: Doorbell, broker_url: str) -> None:
    assert doorbell.ring(UNLEARN)
    assert doorbell.ring(COMPLETE)
    with redis.Redis.from_url(redis_url(broker_url)) as client:
        messages = client.lrange(QUEUE, 0, -1)
    assert len(messages) == 2
    assert UNLEARN.encode() in messages[1]


def test_a_hint_wakes_who_listens(doorbell: Doorbell) -> None:
    assert not doorbell.listen(0.05)
    with ThreadPoolExecutor(1) as threads:
        woken = threads.submit(doorbell.listen, 10.0)
        time.sleep(0.1)
        begun = time.monotonic()
        assert doorbell.hint()
        assert woken.result()
    assert time.monotonic() - begun < 1.0


def test_hints_between_two_calls_are_kept_and_count_as_one(doorbell: Doorbell) -> None:
    assert not doorbell.listen(0.05)
    for _ in range(3):
        assert doorbell.hint()
    assert doorbell.listen(1.0)
    assert not doorbell.listen(0.05)


def test_many_threads_may_ring_at_once(doorbell: Doorbell, broker_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(doorbell.ring, [UNLEARN] * 40))
    with redis.Redis.from_url(redis_url(broker_url)) as client:
        assert client.llen(QUEUE) == 40


def test_without_a_broker_nothing_is_raised_and_nothing_hangs() -> None:
    bell = Doorbell(NOWHERE)
    begun = time.monotonic()
    assert not bell.ring(UNLEARN)
    assert not bell.hint()
    assert not bell.listen(0.1)
    assert 0.1 <= time.monotonic() - begun < 5.0
    bell.close()


def test_a_listener_hears_again_when_the_broker_is_back(tmp_path: Path) -> None:
    from cli.embedded import EmbeddedValkey

    with EmbeddedValkey(tmp_path / "valkey") as server:
        bell = Doorbell(server.url)
        assert not bell.listen(0.05)
    assert not bell.listen(0.05)
    with EmbeddedValkey(tmp_path / "valkey"):
        assert not bell.listen(0.05)
        assert bell.hint()
        assert bell.listen(1.0)
        assert bell.ring(UNLEARN)
    bell.close()
