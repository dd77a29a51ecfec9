"""Why a job ended, in a sentence for people."""

from django import template

from jobs.models import Job, Reason

register = template.Library()

_WORDS: dict[str, str] = {
    Reason.EXIT_CODE: "It ended with exit code {code}.",
    Reason.SIGNAL: "It was ended by a signal: exit code {code}.",
    Reason.TIME_LIMIT: "It ran past its time limit.",
    Reason.START_REFUSED: "The machine refused to start it.",
    Reason.STOPPED: "Somebody asked it to stop.",
    Reason.HOST_REBOOTED: "The machine was restarted while it ran.",
    Reason.SUPERVISOR_LOST: "What watched over it on the machine is gone.",
    Reason.NEVER_STARTED: "It never started on the machine.",
    Reason.RECORD_GONE: "Its folder on the machine is gone.",
    Reason.UNSUPERVISED: "Nothing watches over it on the machine any more.",
    Reason.UNREACHABLE: "The machine cannot be seen at the moment.",
    Reason.UNREADABLE: "What the machine holds of it cannot be read.",
}


@register.filter
def reason_words(job: Job) -> str:
    """The reason of `job` in words; empty without one."""
    return _WORDS.get(job.reason, "").format(code="?" if job.exit_code is None else job.exit_code)
