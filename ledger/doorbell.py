"""The doorbell: messages that say "look into the database", and may be lost."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Lock
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

UNLEARN = "alteraser.unlearn"
SWEEP = "alteraser.sweep"
COMPLETE = "alteraser.complete"
QUEUE = "alteraser"
CHANNEL = "alteraser.hint"

VISIBILITY_TIMEOUT_S = 3600
"""Seconds after which Redis delivers an unacknowledged task again. All apps on a broker must say the same."""
BROKER_PATIENCE_S = 1.0

TRANSPORT_OPTIONS: dict[str, Any] = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    "socket_connect_timeout": BROKER_PATIENCE_S,
    "socket_timeout": BROKER_PATIENCE_S,
    "max_retries": 0,
}


class Doorbell:
    """Rings workers through Celery and hints to replicas through a Redis channel."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("alteraser", broker=broker_url)
        self._celery.conf.update(
            broker_transport_options=TRANSPORT_OPTIONS,
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
        )
        self._redis = redis.Redis.from_url(
            redis_url(broker_url),
            socket_connect_timeout=BROKER_PATIENCE_S,
            socket_timeout=BROKER_PATIENCE_S,
        )
        self._ringing = Lock()
        self._heard: redis.client.PubSub | None = None

    def ring(self, task: str) -> bool:
        """Ask a worker to run the task; False when the broker is away, which the sweep makes good.

        A ring never expires: that would be judged by the worker's clock, and one that is fast would answer none.
        """
        try:
            with self._ringing:
                self._celery.send_task(task, queue=QUEUE, ignore_result=True, retry=False)
        except (OperationalError, redis.RedisError, OSError):
            return False
        return True

    def hint(self) -> bool:
        """Tell every replica to look; False when the broker is away, which their polling makes good."""
        try:
            self._redis.publish(CHANNEL, b"")
        except (redis.RedisError, OSError):
            return False
        return True

    def listen(self, timeout_s: float) -> bool:
        """Wait for a hint, for one thread; False when none came or the broker is away.

        Hints given between two calls are kept, and however many they were they count as one.
        """
        deadline = time.monotonic() + timeout_s
        try:
            return self._wait(deadline)
        except (redis.RedisError, OSError):
            self._stop_listening()
            time.sleep(max(0.0, deadline - time.monotonic()))
            return False

    def waiting(self) -> int | None:
        """How many rings no worker has taken; None where the broker is away."""
        try:
            return int(self._redis.llen(QUEUE))
        except (redis.RedisError, OSError):
            return None

    def close(self) -> None:
        """Close every connection."""
        self._stop_listening()
        self._redis.close()
        self._celery.close()

    def _wait(self, deadline: float) -> bool:
        if self._heard is None:
            self._heard = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            self._heard.subscribe(CHANNEL)
        heard = False
        while (left_s := deadline - time.monotonic()) > 0 and not heard:
            heard = self._heard.get_message(timeout=left_s) is not None
        while heard and self._heard.get_message(timeout=0) is not None:
            pass
        return heard

    def _stop_listening(self) -> None:
        if self._heard is not None:
            with suppress(redis.RedisError, OSError):
                self._heard.close()
            self._heard = None


def redis_url(broker_url: str) -> str:
    """The broker's URL as redis-py spells it: `redis+socket://` is Celery's word for `unix://`."""
    return broker_url.replace("redis+socket://", "unix://", 1)
