"""Celery's door to the jobs: a name and one call each."""

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from connections.keeper import process
from core.background import task_turns
from jobs import retention, watchdog
from jobs.keeper import agent, gpu_alerts, unreachable, usage
from jobs.results import ingest as results_ingest


@shared_task(name="jobs.look")
def look() -> None:
    """In every keeper: a job wants something, look now."""
    agent.job_agent.wake()


@shared_task(name="jobs.mark_unseen")
@task_turns.short
def mark_unseen() -> None:
    """In a worker: say `unknown` of jobs whose machine no keeper sees."""
    try:
        unreachable.mark_unseen()
    finally:
        close_old_connections()


@shared_task(name="jobs.measure")
@task_turns.short
def measure() -> None:
    """Every 20 s, in every keeper: add up what jobs used, and check who waits for a GPU."""
    held = process.current()
    if held is None:
        return
    try:
        usage.measure_held_jobs(list(held.holdings()), timezone.now())
        gpu_alerts.check_machines(list(held.holdings()))
    finally:
        close_old_connections()


@shared_task(name="jobs.look_for_stuck")
@task_turns.long
def look_for_stuck() -> None:
    """In a worker: tell of jobs that look stuck or take long."""
    try:
        watchdog.look(timezone.now())
    finally:
        close_old_connections()


@shared_task(name="jobs.read_scalars")
@task_turns.long
def read_scalars() -> None:
    """In a worker: read what jobs printed on into their curves."""
    try:
        results_ingest.catch_up_all()
    finally:
        close_old_connections()


@shared_task(name="jobs.forget")
@task_turns.long
def forget() -> None:
    """Every hour: drop logs and jobs whose time is over."""
    try:
        retention.forget()
    finally:
        close_old_connections()
