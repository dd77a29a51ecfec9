"""Celery's door to what the accounts do by the clock: a name and one call each."""

from celery import shared_task

from accounts.audit import denials
from accounts.signin import sessions as signin_sessions
from core.background import task_turns


@shared_task(name="accounts.write_down_refusals")
@task_turns.short
def write_down_refusals() -> None:
    denials.write_down()


@shared_task(name="accounts.forget_ended_sessions")
@task_turns.long
def forget_ended_sessions() -> None:
    signin_sessions.forget_ended()
