"""The ticks of the metrics: a name and one call each."""

import logging

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from connections.keeper import process
from core.background import heartbeats, task_turns
from metrics.history import retention, rollup, tiers
from metrics.live import persist

logger = logging.getLogger(__name__)


@shared_task(name="metrics.poll")
@task_turns.short
def poll() -> None:
    """Every 2 s, in every keeper: look for machines that went silent, and show that the clock runs.

    Nothing hangs on it, so that a dead Redis hides no silent machine: the keeper's own thread looks
    at the same pace, and flushing follows the samples themselves.
    """
    held = process.current()
    if held is not None:
        held.watch()
    heartbeats.stamp(heartbeats.BEAT_KEY)


@shared_task(name="metrics.persist")
@task_turns.short
def persist_window() -> None:
    """Every 20 s, in every keeper: write the windows that have ended."""
    held = process.current()
    if held is None:
        return
    try:
        rows = persist.persist(held.id, held.holdings(), timezone.now())
        logger.debug("persisted %d rows", rows)
    finally:
        close_old_connections()


@shared_task(name="metrics.roll_up")
@task_turns.long
def roll_up() -> None:
    """Every minute: compute the hours and days that ended or have changed."""
    try:
        rollup.roll_up(timezone.now())
    finally:
        close_old_connections()


@shared_task(name="metrics.keep_partitions")
@task_turns.long
def keep_partitions() -> None:
    """Every hour: partitions for the days to come, nothing beyond retention."""
    try:
        tiers.ensure_partitions(timezone.now().date())
        rollup.roll_up(timezone.now())
        retention.clean_up(timezone.now())
    finally:
        close_old_connections()
