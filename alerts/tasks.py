"""The clock's part in alerts: a name and one call each. Keepers judge at their own pace."""

import logging

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from alerts import absence, notify, trash
from core.background import task_turns
from core.errors import Unavailable

logger = logging.getLogger(__name__)


@shared_task(name="alerts.watch_absence")
@task_turns.short
def watch_absence() -> None:
    """Every 2 s, in one worker: machines that nobody sees, and alerts that nothing watches."""
    try:
        absence.watch(timezone.now())
    except Unavailable as error:
        logger.warning("whether machines are gone is not known: %s", error)
    finally:
        close_old_connections()


@shared_task(name="alerts.tell_again")
@task_turns.short
def tell_again() -> None:
    """Every minute: what fires on and nobody attends to."""
    try:
        notify.again(timezone.now())
    finally:
        close_old_connections()


@shared_task(name="alerts.forget")
@task_turns.long
def forget() -> None:
    """Every hour: rules whose 30 days in the trash are over, and alerts of long ago."""
    try:
        trash.empty(timezone.now())
    finally:
        close_old_connections()
