"""Tell people how jobs fare: one notification for each step that matters to somebody.

Called by each new row of `JobChange`, in the transaction that writes it: a step that is not
committed is not told, and one that is written again is told once. A stop is told to nobody: who
stopped it knows. Nor is a failure that another try follows: only the last one needs somebody.
"""

from core.formats import duration
from jobs import lifecycle
from jobs.log import viewer
from jobs.models import Job, JobChange, Reason, Status
from jobs.serializers import as_event
from jobs.tracking import ansi
from notifications import events

# By the status a job comes to.
_KINDS = {
    Status.RUNNING: "job_started",
    Status.COMPLETED: "job_finished",
    Status.FAILED: "job_failed",
    Status.LOST: "job_failed",
}
_TITLES = {
    "job_started": "{job} runs on {machine}",
    "job_finished": "{job} is done",
    "job_failed": "{job} failed",
    "job_too_long": "{job} was ended by its time limit",
    "job_stuck": "{job} may be stuck",
    "job_slow": "{job} takes long",
}
# What a program wants to know of it; no command, which may hold what is not for every receiver.
_TOLD = (
    *("id", "name", "project_id", "connection_id", "status", "reason", "exit_code", "attempt"),
    *("max_retries", "granted_gpus", "requested_by", "created_at", "started_at", "completed_at"),
)
_LAST_LINES = 8
_LONGEST_LINE = 160
_BODY = 1000


def notify_change(change: JobChange) -> None:
    """Notify people of a step that was just written."""
    kind = _KINDS.get(Status(change.to_status))
    if kind is None:
        return
    rows = Job.objects.select_related("connection__team", "project", "requested_by")
    job = rows.get(pk=change.job_id)
    if kind == "job_failed":
        if lifecycle.is_tried_again(job):
            return
        kind = "job_too_long" if job.reason == Reason.TIME_LIMIT else kind
    tell(job, kind, _body(job, kind), once=kind)


def tell(job: Job, kind: str, body: str, *, once: str, title: str = "") -> bool:
    """Tell of one job; False if this was told before. `once` says what may be told once a job."""
    row = as_event(job)
    event = events.notify(
        job.connection.team,
        kind,
        _TITLES[title or kind].format(job=job.name, machine=job.connection.name),
        body,
        link=f"/jobs/{job.pk}/",
        subject=job,
        data={"job": {name: row[name] for name in _TOLD}},
        dedupe_key=f"{once}:{job.pk}",
    )
    return event is not None


def _body(job: Job, kind: str) -> str:
    where = f"{job.project.name} on {job.connection.name}"
    if kind == "job_started":
        return where
    facts = [where, _how_long(job), _how_it_ended(job), _which_try(job)]
    head = " · ".join(fact for fact in facts if fact)
    return head if kind == "job_finished" else _with_last_lines(job, head)


def _how_long(job: Job) -> str:
    if job.started_at is None or job.completed_at is None:
        return ""
    return f"after {duration((job.completed_at - job.started_at).total_seconds())}"


def _how_it_ended(job: Job) -> str:
    if job.detail:
        return job.detail
    return "" if not job.exit_code else f"exit code {job.exit_code}"


def _which_try(job: Job) -> str:
    return f"try {job.attempt} of {job.max_retries + 1}" if job.attempt > 1 else ""


def _with_last_lines(job: Job, head: str) -> str:
    """The end of the log below; its secrets were starred out before it was stored."""
    texts = [ansi.strip(text).rstrip() for text in viewer.tail(job, 2 * _LAST_LINES).texts]
    last = [text[:_LONGEST_LINE] for text in texts if text][-_LAST_LINES:]
    while last and len(head) + sum(len(text) + 1 for text in last) > _BODY:
        last.pop(0)
    return "\n".join([head, *last])
