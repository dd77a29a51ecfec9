"""Celery's door to the exports: a name and one call each."""

from uuid import UUID

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from core.background import task_turns
from exports import queue, retention, schedules


@shared_task(name="exports.work")
def work() -> None:
    """Every few seconds, and when somebody asks: what is due and what waits."""
    try:
        queue.run()
    finally:
        close_old_connections()


@shared_task(name="exports.run_schedule")
def run_schedule(schedule_id: str) -> None:
    """One schedule's turn, sent by django-celery-beat's own clock where that one runs."""
    try:
        if schedules.run_one(UUID(schedule_id), timezone.now()):
            queue.run()
    finally:
        close_old_connections()


@shared_task(name="exports.tidy")
@task_turns.long
def tidy() -> None:
    """Every hour: remove the files that nobody keeps any more."""
    try:
        retention.tidy(timezone.now())
    finally:
        close_old_connections()
