"""The ticks of the usage ledger: a name and one call each."""

import logging

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from connections.keeper import process
from core.background import task_turns
from usage import noting, tables

logger = logging.getLogger(__name__)


@shared_task(name="usage.save")
@task_turns.short
def save_minutes() -> None:
    """Every 20 s, in every keeper: write the minutes that have ended."""
    held = process.current()
    if held is None:
        return
    try:
        rows = noting.save(held.id, held.holdings(), timezone.now())
        logger.debug("saved %d rows of usage", rows)
    finally:
        close_old_connections()


@shared_task(name="usage.keep_partitions")
@task_turns.long
def keep_partitions() -> None:
    """Every hour: partitions for the days to come, none beyond retention."""
    try:
        tables.ensure_partitions(timezone.now().date())
        tables.drop_expired(timezone.now().date())
    finally:
        close_old_connections()
