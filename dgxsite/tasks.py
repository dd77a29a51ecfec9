"""The tasks of the site itself."""

from celery import shared_task

from core.background import heartbeats, task_turns, threads


@shared_task(name="dgxsite.pulse")
@task_turns.short
def worker_lives() -> None:
    """The default queue is being worked on; what of the process is not well is said beside it."""
    heartbeats.note(heartbeats.WORKER_TROUBLE_KEY, ", ".join(threads.look()))
    heartbeats.stamp(heartbeats.WORKER_KEY)
