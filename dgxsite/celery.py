"""Celery: the clock and the queues. It is never the record, PostgreSQL is.

Run a keeper with `-Q tick`, a worker with `-Q celery`, or both in one process with
`-Q celery,tick`; always with `-P threads`, because sessions do not survive a fork.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_ready, worker_shutting_down
from kombu.common import Broadcast
from kombu.entity import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")

from django.conf import settings

from core.background import heartbeats
from core.background.queues import BROADCAST

app = Celery("dgxsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_default_queue = "celery"
app.conf.task_queues = [Queue("celery"), Broadcast("tick")]
app.conf.worker_send_task_events = False
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_max_retries = None
app.autodiscover_tasks()


def _tick(task: str, seconds: float) -> dict[str, Any]:
    """A broadcast that is dropped when it is late: the next one does the same."""
    return {"task": task, "schedule": seconds, "options": BROADCAST | {"expires": seconds}}


def _work(task: str, seconds: float) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


app.conf.beat_schedule = {
    "poll": _tick("metrics.poll", settings.SAMPLE_SECONDS),
    "persist": _tick("metrics.persist", settings.PERSIST_SECONDS),
    "usage": _tick("usage.save", settings.PERSIST_SECONDS),
    "usage_partitions": _work("usage.keep_partitions", 3600.0),
    "pulse": _work("dgxsite.pulse", 5.0),
    "jobs_unseen": _work("jobs.mark_unseen", settings.SAMPLE_SECONDS),
    "jobs_measure": _tick("jobs.measure", settings.PERSIST_SECONDS),
    "jobs_scalars": _work("jobs.read_scalars", 10.0),
    "jobs_stuck": _work("jobs.look_for_stuck", 60.0),
    "jobs_forget": _work("jobs.forget", 3600.0),
    "exports": _work("exports.work", 15.0),
    "exports_tidy": _work("exports.tidy", 3600.0),
    "absence": _work("connections.tell_of_absence", 60.0),
    "roll_up": _work("metrics.roll_up", 60.0),
    "partitions": _work("metrics.keep_partitions", 3600.0),
    "deliver": _work("notifications.deliver", 5.0),
    "forget": _work("notifications.forget", 3600.0),
    "trash": _work("connections.empty_trash", 3600.0),
    "sessions": _work("accounts.forget_ended_sessions", 3600.0),
    "alerts": _work("alerts.watch_absence", settings.SAMPLE_SECONDS),
    "alerts_again": _work("alerts.tell_again", 60.0),
    "alerts_trash": _work("alerts.forget", 3600.0),
    "refusals": _work("accounts.write_down_refusals", 60.0),
}


@setup_logging.connect
def _keep_our_logging(**kwargs: Any) -> None:
    """Django has configured the log; Celery leaves it alone."""


@worker_ready.connect
def _become_keeper(sender: Any = None, **kwargs: Any) -> None:
    """A worker that hears the tick is a keeper."""
    from connections.keeper import process  # these need the apps, which are loaded by now
    from dgxsite import wiring

    names = {queue.alias or queue.name for queue in _queues_of(sender)}
    if "tick" in names:
        wiring.connect_keeper()
        process.start()
    if "celery" in names:
        heartbeats.stamp(heartbeats.WORKER_KEY)


@worker_shutting_down.connect
def _stop_keeping(**kwargs: Any) -> None:
    from connections.keeper import process
    from notifications.delivery.dispatch import dispatcher

    dispatcher.stop()
    process.stop()


@beat_init.connect
def _beat_lives(**kwargs: Any) -> None:
    heartbeats.stamp(heartbeats.BEAT_KEY)


def _queues_of(consumer: Any) -> list[Any]:
    return list(consumer.app.amqp.queues.consume_from.values())
