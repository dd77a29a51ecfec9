"""The tasks of the site itself."""

from celery import shared_task

from dgxsite import pulse


@shared_task(name="dgxsite.pulse")
def worker_lives() -> None:
    """The default queue is being worked on."""
    pulse.stamp(pulse.WORKER_KEY)
