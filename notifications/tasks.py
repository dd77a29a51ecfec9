"""Celery's door to the deliveries: a name and one call each."""

from celery import shared_task
from django.db import close_old_connections

from notifications import delivery, retention


@shared_task(name="notifications.deliver")
def deliver() -> None:
    """Send what is due; several may run side by side, in one worker or in many."""
    try:
        delivery.run()
    finally:
        close_old_connections()


@shared_task(name="notifications.forget")
def forget() -> None:
    """Every hour: drop what is older than the retention."""
    try:
        retention.forget_old()
    finally:
        close_old_connections()
