"""Celery's door to the machines: a name and one call each."""

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from connections import notify, purge
from connections.keeper import process
from core.background import task_turns


@shared_task(name="connections.look_at")
def look_at() -> None:
    """A wish has changed: look at the rows now and not at the next tick."""
    held = process.current()
    if held is not None:
        held.wake()


@shared_task(name="connections.tell_of_absence")
@task_turns.short
def tell_of_absence() -> None:
    """Every minute: tell of machines that stay out of reach."""
    try:
        notify.of_absence(timezone.now())
    finally:
        close_old_connections()


@shared_task(name="connections.empty_trash")
@task_turns.long
def empty_trash() -> None:
    """Every hour: remove the machines whose 30 days in the trash are over."""
    try:
        purge.empty_trash(timezone.now())
    finally:
        close_old_connections()
