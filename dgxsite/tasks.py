"""The tasks of the site itself."""

from celery import shared_task

from dgxsite import loops, pulse, turns


@shared_task(name="dgxsite.pulse")
@turns.short
def worker_lives() -> None:
    """The default queue is being worked on; what of the process is not well is said beside it."""
    pulse.note(pulse.WORKER_TROUBLE_KEY, ", ".join(loops.look()))
    pulse.stamp(pulse.WORKER_KEY)
