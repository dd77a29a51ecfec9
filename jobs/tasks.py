"""Celery's door to the jobs: a name and one call each."""

from celery import shared_task
from django.db import close_old_connections

from jobs import agent, forgetting, watching


@shared_task(name="jobs.look")
def look() -> None:
    """In every keeper: a job wants something, look now."""
    agent.crew.wake()


@shared_task(name="jobs.mark_unseen")
def mark_unseen() -> None:
    """In a worker: say `unknown` of jobs whose machine no keeper sees."""
    try:
        watching.mark_unseen()
    finally:
        close_old_connections()


@shared_task(name="jobs.forget")
def forget() -> None:
    """Every hour: drop logs and jobs whose time is over."""
    try:
        forgetting.forget()
    finally:
        close_old_connections()
