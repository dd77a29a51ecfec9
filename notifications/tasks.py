"""Celery's door to the deliveries: a name and one call each."""

from celery import shared_task
from django.db import close_old_connections

from core.background import task_turns
from notifications import retention
from notifications.delivery.dispatch import dispatcher


@shared_task(name="notifications.deliver")
def deliver() -> None:
    """Every few seconds, and after each event: send what is due, on threads of their own."""
    dispatcher.wake()


@shared_task(name="notifications.forget")
@task_turns.long
def forget() -> None:
    """Every hour: drop what is older than the retention."""
    try:
        retention.forget_old()
    finally:
        close_old_connections()
