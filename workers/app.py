"""The Celery application of worker and beat: one task at a time, doorbells only, nothing kept in the broker.

A doorbell is acknowledged before its task runs. A worker that is killed loses the doorbell and nothing else:
the requests are rows, and the next sweep rings again.
"""

from __future__ import annotations

from celery import Celery

from ledger.doorbell import QUEUE, SWEEP, VISIBILITY_TIMEOUT_S
from workers.settings import WorkerSettings


def create_app(settings: WorkerSettings) -> Celery:
    """Return the application with its beat schedule; `workers.tasks.register` gives a worker its tasks."""
    app = Celery("alteraser", broker=settings.broker_url, set_as_current=False)
    visibility = {"visibility_timeout": VISIBILITY_TIMEOUT_S}
    app.conf.update(
        accept_content=["json"],
        beat_schedule={"sweep": _every(settings.worker_sweep_s, SWEEP)},
        beat_scheduler="celery.beat:Scheduler",  # in memory: the default keeps a pickle on disk
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=visibility,
        result_backend_transport_options=visibility,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        worker_concurrency=1,
        worker_enable_remote_control=False,
        worker_pool="solo",  # prefork and CUDA do not go together
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        **visibility,
    )
    return app


def _every(seconds: float, task: str) -> dict[str, object]:
    """One beat entry. What piled up while no worker listened is thrown away by `workers.tasks`, not by a date in it."""
    return {"task": task, "schedule": seconds, "options": {"queue": QUEUE}}
